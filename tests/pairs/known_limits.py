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
    ("granian", "*", "test_streaming.py::test_broken_answer_looks_broken[early]"): (
        "Granian 2.8 ends an answer whose iterator raises as if it were whole (measured)"
    ),
    ("granian", "*", "test_streaming.py::test_broken_answer_looks_broken[late]"): (
        "Granian 2.8 ends an answer whose iterator raises as if it were whole (measured)"
    ),
    ("mod_wsgi", "*", "test_streaming.py::test_broken_answer_looks_broken[early]"): (
        "mod_wsgi ends an answer whose iterator raises as if it were whole: "
        "https://github.com/GrahamDumpleton/mod_wsgi/issues/42"
    ),
    ("mod_wsgi", "*", "test_streaming.py::test_broken_answer_looks_broken[late]"): (
        "mod_wsgi ends an answer whose iterator raises as if it were whole: "
        "https://github.com/GrahamDumpleton/mod_wsgi/issues/42"
    ),
    ("mod_wsgi", "nginx", "test_streaming.py::test_broken_answer_looks_broken[length]"): (
        "httpd keeps the connection open when mod_wsgi 6.1's daemon breaks off an answer with a "
        "Content-Length, so that it ends with the proxy's REQUEST_TIMEOUT only (measured)"
    ),
}
