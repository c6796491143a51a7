import pytest
from flask import request


def test_secret_key_from_a_file(make_app, tmp_path):
    file = tmp_path / "key"
    file.write_text("from-the-file\n")
    assert make_app(SECRET_KEY="", SECRET_KEY_FILE=str(file)).secret_key == "from-the-file"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"SECRET_KEY": ""}, "No secret key"),
        ({"SECRET_KEY": "", "SECRET_KEY_FILE": "/nowhere"}, "/nowhere, which cannot be read"),
        ({"MAX_CONTENT_LENGTH": "10M"}, "MAX_CONTENT_LENGTH must be a whole number"),
        ({"FORWARDED_FOR_HOPS": "-1"}, "FORWARDED_FOR_HOPS must be a whole number"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL must be one of"),
    ],
)
def test_bad_settings_stop_the_start(make_app, settings, told):
    with pytest.raises(RuntimeError, match=told):
        make_app(**settings)


def test_only_trusted_hosts_are_served(make_app):
    client = make_app(TRUSTED_HOSTS="good.example, .also.example").test_client()
    assert client.get("/", headers={"Host": "good.example"}).status_code == 200
    assert client.get("/", headers={"Host": "sub.also.example"}).status_code == 200
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_body_over_the_limit_is_413(make_app):
    app = make_app(MAX_CONTENT_LENGTH="10")
    app.add_url_rule("/upload", view_func=_read_body, methods=["POST"])
    client = app.test_client()
    assert client.post("/upload", data=b"x" * 10).status_code == 200
    assert client.post("/upload", data=b"x" * 11).status_code == 413


def _read_body():
    return str(len(request.get_data()))


@pytest.mark.parametrize(("hops", "seen"), [("0", "127.0.0.1"), ("1", "198.51.100.7")])
def test_client_address_after_so_many_proxies(make_app, hops, seen):
    app = make_app(FORWARDED_FOR_HOPS=hops)
    app.add_url_rule("/address", view_func=lambda: request.remote_addr)
    answer = app.test_client().get("/address", headers={"X-Forwarded-For": "198.51.100.7"})
    assert answer.text == seen
