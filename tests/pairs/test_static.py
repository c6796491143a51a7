"""Static files come from the proxy."""

from tests.harness.stack import Stack


def test_static_file_comes_from_the_proxy(stack: Stack, project):
    answer = stack.get("/static/style.css", headers={"Accept-Encoding": "identity"})
    (source,) = project.glob("src/*/static/style.css")
    assert answer.status_code == 200
    assert answer.content == source.read_bytes()
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "Content-Encoding" not in answer.headers
    # The application logs every request that reaches it; this one did not.
    assert "/static/" not in stack.container("app").logs(tail=500).decode()


def test_static_file_is_compressed_beforehand(stack: Stack):
    plain = stack.get("/static/style.css", headers={"Accept-Encoding": "identity"})
    small = stack.get("/static/style.css", headers={"Accept-Encoding": "gzip"})
    assert small.headers["Content-Encoding"] == "gzip"
    assert small.headers["Vary"] == "Accept-Encoding"
    assert int(small.headers["Content-Length"]) < int(plain.headers["Content-Length"])
    assert small.content == plain.content


def test_unchanged_file_is_not_sent_again(stack: Stack):
    tag = stack.get("/static/style.css").headers["ETag"]
    answer = stack.get("/static/style.css", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")
