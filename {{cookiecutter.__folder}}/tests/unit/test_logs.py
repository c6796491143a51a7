import json

import pytest


def test_each_response_is_one_line_of_json_with_its_request_id(make_app, capsys):
    client = make_app(TRUST_REQUEST_ID="on", LOG_LEVEL="debug").test_client()
    client.get("/health/live?a=%20", headers={"X-Request-ID": "abc123"})
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["request_id"] == "abc123"
    assert (line["method"], line["uri"], line["status"]) == ("GET", "/health/live?a=%20", 200)
    assert (line["route"], line["bytes"]) == ("/health/live", 16)


def test_without_the_access_log_only_failures_are_logged(make_app, capsys):
    app = make_app(ACCESS_LOG="off")
    app.add_url_rule("/fail", view_func=lambda: 1 / 0)
    app.test_client().get("/health/live")
    assert capsys.readouterr().out == ""
    app.test_client().get("/fail")
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(line["request_id"]) == 32


@pytest.mark.parametrize("path", ["/%22%5C%0A", "/%ff", '/"{}', "/\\", "/x?\u00e9"])
def test_no_path_forges_a_second_line(make_app, capsys, path):
    make_app().test_client().get(path)
    line = json.loads(capsys.readouterr().out)
    assert line["uri"].isascii()
    assert line["route"] is None


def test_a_clients_request_id_is_not_trusted(make_app, capsys):
    client = make_app(LOG_LEVEL="debug").test_client()
    client.get("/health/live", headers={"X-Request-ID": "abc123"})
    assert len(json.loads(capsys.readouterr().out)["request_id"]) == 32


@pytest.mark.parametrize("forged", ["", 'a"b', "a b", "a\u00e9", "x" * 65])
def test_an_invalid_request_id_is_replaced(make_app, capsys, forged):
    client = make_app(TRUST_REQUEST_ID="on", LOG_LEVEL="debug").test_client()
    client.get("/health/live", headers={"X-Request-ID": forged})
    line = json.loads(capsys.readouterr().out)
    assert line["request_id"] != forged
    assert len(line["request_id"]) == 32


def test_an_exception_is_one_line_with_its_traceback(make_app, capsys):
    app = make_app()
    app.add_url_rule("/fail", view_func=lambda: 1 / 0)
    assert app.test_client().get("/fail").status_code == 500
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any("ZeroDivisionError" in line.get("exc_info", "") for line in lines)
    assert len({line["request_id"] for line in lines}) == 1


def test_a_long_record_is_one_line(make_app, capfd):
    make_app().logger.error("é" * 100_000)
    assert json.loads(capfd.readouterr().out)["message"] == "é" * 100_000


def test_a_printed_line_is_written_whole(make_app, capfd):
    make_app()
    print("some", end=" ")
    assert capfd.readouterr().out == ""
    print("words")
    assert capfd.readouterr().out == "some words\n"
