def test_the_latest_note_comes_first(app):
    for text in ("first", "second"):
        assert app.test_cli_runner().invoke(args=["notes", "add", text]).exit_code == 0
    notes = app.test_client().get("/notes").json
    assert [note["text"] for note in notes] == ["second", "first"]


def test_each_test_begins_without_notes(client):
    assert client.get("/notes").json == []
