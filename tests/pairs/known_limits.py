"""What a server or a proxy cannot do, and why: these tests are expected to fail, strictly.

The key is (server, proxy, test), each a shell pattern; the test is named without its pair, such as
"test_bodies.py::test_upload_in_chunks[1024]". The reason links to upstream's report, or tells our
measurement.
"""

KNOWN_LIMITS: dict[tuple[str, str, str], str] = {
    ("granian", "*", "test_headers.py::test_letters_beyond_ascii_arrive"): (
        "Granian empties header values that are not ASCII (wontfix): "
        "https://github.com/emmett-framework/granian/issues/335"
    ),
}
