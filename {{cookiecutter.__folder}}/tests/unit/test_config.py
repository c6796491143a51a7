from io import BytesIO

import pytest
from flask import request


def test_secret_key_from_a_file(make_app, tmp_path):
    file = tmp_path / "key"
    file.write_text("from-the-file\n")
    assert make_app(SECRET_KEY="", SECRET_KEY_FILE=str(file)).secret_key == "from-the-file"


def test_former_keys_stand_below_the_key_in_its_file(make_app, tmp_path):
    file = tmp_path / "key"
    file.write_text("new\nold\n\noldest\n")
    config = make_app(SECRET_KEY="", SECRET_KEY_FILE=str(file)).config
    assert config["SECRET_KEY"] == "new"
    assert config["SECRET_KEY_FALLBACKS"] == ["old", "oldest"]


def test_former_keys_from_the_environment(make_app):
    app = make_app(SECRET_KEY="new", SECRET_KEY_FALLBACKS="old, oldest")
    assert app.config["SECRET_KEY_FALLBACKS"] == ["old", "oldest"]


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "which is empty"), (b"\n \n", "which is empty"), (b"\xff", "not text")],
)
def test_a_file_without_a_key_stops_the_start(make_app, tmp_path, content, told):
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(RuntimeError, match=told):
        make_app(SECRET_KEY="", SECRET_KEY_FILE=str(file))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"SECRET_KEY": ""}, "No secret key"),
        ({"SECRET_KEY": "", "SECRET_KEY_FILE": "/nowhere"}, "/nowhere, which cannot be read"),
        # What Docker makes where a file to mount is missing.
        ({"SECRET_KEY": "", "SECRET_KEY_FILE": "/"}, "Is a directory"),
        ({"MAX_CONTENT_LENGTH": "10M"}, "MAX_CONTENT_LENGTH must be a whole number"),
        ({"PROXY_FIX_X_FOR": "-1"}, "PROXY_FIX_X_FOR must be a whole number"),
        ({"TRUST_REQUEST_ID": "yes"}, "TRUST_REQUEST_ID must be on or off"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL must be one of"),
    ],
)
def test_bad_settings_stop_the_start(make_app, settings, told):
    with pytest.raises(RuntimeError, match=told):
        make_app(**settings)


def test_only_trusted_hosts_are_served(make_app):
    app = make_app(TRUSTED_HOSTS="good.example, .also.example")
    app.add_url_rule("/own", view_func=lambda: "served")
    client = app.test_client()
    assert client.get("/own", headers={"Host": "good.example"}).status_code == 200
    assert client.get("/own", headers={"Host": "sub.also.example"}).status_code == 200
    assert client.get("/own", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("host", ["10.0.0.1:8000", ""])
@pytest.mark.parametrize("trusted", ["good.example", ".good.example"])
def test_health_is_served_whatever_the_host(make_app, trusted, host):
    settings = {"TRUSTED_HOSTS": trusted, "PROXY_FIX_X_HOST": "1"}
    headers = {"Host": host, "X-Forwarded-Host": host}
    response = make_app(**settings).test_client().get("/health/ready", headers=headers)
    assert response.status_code == 200


def test_body_over_the_limit_is_413(make_app):
    app = make_app(MAX_CONTENT_LENGTH="10")
    app.add_url_rule("/upload", view_func=_read_body, methods=["POST"])
    client = app.test_client()
    assert client.post("/upload", data=b"x" * 10).status_code == 200
    assert client.post("/upload", data=b"x" * 11).status_code == 413


def test_body_over_the_limit_is_413_if_the_view_does_not_read_it(make_app):
    app = make_app(MAX_CONTENT_LENGTH="10")
    app.add_url_rule("/upload", view_func=str, methods=["POST"])
    assert app.test_client().post("/upload", data=b"x" * 11).status_code == 413


def test_body_of_unknown_length_over_the_limit_is_413(make_app):
    app = make_app(MAX_CONTENT_LENGTH="10")
    app.add_url_rule("/upload", view_func=_read_body, methods=["POST"])
    client = app.test_client()
    chunked = {"environ_overrides": {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}}
    assert client.post("/upload", input_stream=BytesIO(b"x" * 10), **chunked).text == "10"
    assert client.post("/upload", input_stream=BytesIO(b"x" * 11), **chunked).status_code == 413


def _read_body():
    return str(len(request.get_data()))


@pytest.mark.parametrize("host", ["https://a.example", "*.example.com", "a.example/", "a b"])
def test_trusted_hosts_are_host_names(make_app, host):
    with pytest.raises(RuntimeError, match="TRUSTED_HOSTS must be host names"):
        make_app(TRUSTED_HOSTS=f"good.example,{host}")


def test_trusted_hosts_may_be_addresses(make_app):
    hosts = "localhost,127.0.0.1:8080,[::1],.example.com"
    assert make_app(TRUSTED_HOSTS=hosts).config["TRUSTED_HOSTS"] == hosts.split(",")
