import pytest


def test_front_page_names_the_project(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert client.application.config["PROJECT_NAME"]
    assert b"<h1>" in answer.data


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.json == {"status": "ok"}


def test_unknown_path_is_404(client):
    assert client.get("/nothing-here").status_code == 404
