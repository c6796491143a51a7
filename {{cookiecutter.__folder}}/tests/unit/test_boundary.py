"""Which request headers the application trusts, and which it rejects."""

import json

import pytest
from flask import redirect, request, url_for

# From a trusted proxy, some of these are right.
FORGED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Port": "6666",
    "X-Forwarded-Anything": "evil",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6",
    "Proxy": "http://evil.example",
    "X-Request-ID": "evil",
    "traceparent": "evil",
    "tracestate": "evil",
    "baggage": "evil",
}


@pytest.fixture
def seen(make_app):
    """What a view receives of a request, with the given settings."""

    def seen(settings=None, headers=None, **environ):
        app = make_app(**settings or {})
        app.add_url_rule("/seen", view_func=lambda: view(request))
        response = app.test_client().get("/seen", headers=headers, environ_overrides=environ)
        return response.json

    def view(request):
        return {
            "address": request.remote_addr,
            "root": request.root_url,
            "headers": {name: request.headers[name] for name in FORGED if name in request.headers},
        }

    return seen


def test_by_default_no_forwarded_header_is_trusted(seen):
    expected = {"address": "127.0.0.1", "root": "http://localhost/", "headers": {}}
    assert seen(headers=FORGED) == expected


def test_one_trusted_proxy_sets_the_values(seen):
    trusted = {f"PROXY_FIX_X_{name}": "1" for name in ("FOR", "PROTO", "HOST", "PREFIX")}
    assert seen(trusted | {"TRUST_REQUEST_ID": "on"}, FORGED) == {
        "address": "6.6.6.6",
        "root": "https://evil.example/evil/",
        "headers": {
            name: value
            for name, value in FORGED.items()
            if name not in ("X-Forwarded-Port", "X-Forwarded-Anything", "X-Real-IP")
            and name not in ("Forwarded", "Proxy")
        },
    }


# Two proxies added the last two addresses.
@pytest.mark.parametrize("forged", ["", "6.6.6.6, ", '"6.6.6.6, ', '"6.6.6.6", ', ",,"])
@pytest.mark.parametrize(
    ("trusted", "address"), [("0", "127.0.0.1"), ("1", "198.51.100.7"), ("2", "203.0.113.9")]
)
def test_client_address_by_number_of_proxies(seen, trusted, address, forged):
    headers = {"X-Forwarded-For": f"{forged}203.0.113.9, 198.51.100.7"}
    found = seen({"PROXY_FIX_X_FOR": trusted}, headers)
    assert found["address"] == address
    # The same for a library that reads the header itself.
    assert found["headers"].get("X-Forwarded-For", address).startswith(address)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:0:0", "::ffff:0:0"),
    ],
)
def test_an_ipv4_address_is_written_as_one(seen, peer, address):
    assert seen(REMOTE_ADDR=peer)["address"] == address


@pytest.mark.parametrize(
    ("prefix", "trusted"),
    [
        ("/blog", "/blog"),
        ("/a/b-c/d.e/f_g~", "/a/b-c/d.e/f_g~"),
        ("", ""),
        ("blog", ""),
        ("//evil.example", ""),
        ("/blog/", ""),
        ("/a" * 9, ""),
        ("/a b", ""),
        ("/\u00e4", ""),
        ("https://evil.example", ""),
    ],
)
def test_links_and_redirects_have_the_prefix(make_app, prefix, trusted):
    app = make_app(PROXY_FIX_X_PREFIX="1")
    app.add_url_rule("/home", "home", lambda: redirect(url_for("health.live")))
    app.add_url_rule("/link", "link", lambda: url_for("static", filename="style.css"))
    client = app.test_client()
    headers = {"X-Forwarded-Prefix": prefix}
    assert client.get("/home", headers=headers).headers["Location"] == f"{trusted}/health/live"
    assert client.get("/link", headers=headers).text == f"{trusted}/static/style.css"


@pytest.mark.parametrize("character", ["\x00", "\x01", "\n", "\x1f", "\x7f"])
@pytest.mark.parametrize("name", ["HTTP_USER_AGENT", "CONTENT_TYPE"])
def test_a_control_character_is_refused_and_logged(make_app, capsys, name, character):
    client = make_app(LOG_LEVEL="debug").test_client()
    response = client.get("/health/live", environ_overrides={name: f"a{character}b"})
    assert response.status_code == 400
    line = json.loads(capsys.readouterr().out)
    assert (line["status"], len(line["request_id"])) == (400, 32)


def test_tabs_and_other_letters_are_accepted(client):
    assert client.get("/health/live", headers={"X-Own": "a\tb \u00e4\u00a0"}).status_code == 200


def test_plain_http_is_redirected_if_the_setting_is_on(make_app):
    client = make_app(HTTPS_REDIRECT="on", PROXY_FIX_X_PROTO="1").test_client()
    response = client.post("/form?a=%20", headers={"X-Forwarded-Proto": "http"})
    assert response.status_code == 308
    assert response.headers["Location"] == "https://localhost/form?a=%20"
    assert client.get("/form", headers={"X-Forwarded-Proto": "https"}).status_code == 404
    assert client.get("/health/live").status_code == 200
    assert make_app().test_client().get("/form").status_code == 404
