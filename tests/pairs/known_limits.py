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
    ("*", "apache", "test_scale.py::test_request_in_flight_on_a_killed_replica"): (
        "mod_proxy asks another replica only until it has sent the request; then it answers 502 "
        "(measured with httpd 2.4: for 2 of 6 requests, those of the killed replica)"
    ),
}
