"""Unit tests of the comparison."""

import re

import pytest

from .case import CORPUS, Case, corpus, parse
from .compare import Accepted, Difference, accepted, short, unexplained, unlike
from .observe import NOT_COMPARED
from .wire import MalformedError, next_reply


def test_cases_have_one_name_each():
    names = [case.name for case in corpus()]
    assert len(names) == len(set(names))
    assert len(names) > 300


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*.http")), ids=lambda file: file.stem)
def test_a_case_survives_a_round_trip_to_a_file(file):
    for case in parse(file.read_text(encoding="ascii"), file.stem):
        name = case.name.partition("/")[2]
        again = Case(name, case.data, case.methods, half_close=case.half_close)
        (read,) = parse(again.text(), file.stem)
        assert read == case


def test_exceptions_have_a_reason():
    assert all(NOT_COMPARED.values())
    for entry in accepted(features=True):
        assert entry.reason and entry.source
        re.compile(entry.request)
        re.compile(entry.values)
        re.compile(entry.theirs)


NGINX = ("gunicorn-nginx", "uwsgi-nginx")
APACHE = ("gunicorn-apache", "uwsgi-apache")


def difference(*sides: tuple[str, tuple[str, ...]], aspect: str = "outcome") -> Difference:
    return Difference(Case("a", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), aspect, sides)


@pytest.mark.parametrize(
    ("entry", "explains"),
    [
        (Accepted("outcome", ("*-apache",), "", ""), True),
        (Accepted("outcome", ("*-nginx",), "", ""), True),
        (Accepted("out*", ("*-apache",), "", "", request="^Host: a\r$"), True),
        (Accepted("outcome", ("*-apache",), "", "", request="^Host: b"), False),
        (Accepted("outcome", ("*-apache",), "", "", values="200|400"), True),
        (Accepted("outcome", ("*-apache",), "", "", values="400"), False),
        (Accepted("outcome", ("*-apache",), "", "", theirs="400"), True),
        (Accepted("outcome", ("*-apache",), "", "", theirs="200"), False),
        (Accepted("connection", ("*-apache",), "", ""), False),
        (Accepted("outcome", ("uwsgi-*",), "", ""), False),
        (Accepted("outcome", ("*",), "", ""), True),
        (Accepted("connection", ("*",), "", ""), False),
    ],
)
def test_an_entry_covers_only_its_own_difference(entry, explains):
    found = difference(("200", NGINX), ("400", APACHE))
    assert (unexplained([found], [entry]) == []) == explains
    assert entry.occurs_in(found) == (explains or entry.pairs == ("uwsgi-*",))


def test_an_entry_does_not_hide_that_its_own_pairs_differ():
    found = difference(("200", NGINX), ("400", APACHE[:1]), ("500", APACHE[1:]))
    proxies = Accepted("outcome", ("*-apache",), "", "")
    assert unexplained([found], [proxies]) == [found]
    assert unexplained([found], [proxies, Accepted("outcome", ("uwsgi-apache",), "", "")]) == []


def test_each_response_may_have_an_entry_of_its_own():
    found = difference(("200, 404, 500", NGINX), ("206, 404, 502", APACHE))
    first, second = (
        Accepted("outcome", ("*-apache",), "", "", values=values)
        for values in ("200|206", "500|502")
    )
    assert unexplained([found], [first]) == [found]
    assert unexplained([found], [first, second]) == []


def test_two_entries_explain_what_three_sides_differ_in():
    found = difference(("200", NGINX[:1]), ("502", NGINX[1:]), ("400", APACHE))
    proxies = Accepted("outcome", ("*-apache",), "", "")
    server = Accepted("outcome", ("uwsgi-*",), "", "", values="200|502")
    assert unexplained([found], [server]) == [found]
    assert unexplained([found], [proxies, server]) == []


@pytest.mark.parametrize(
    ("one", "other", "parts"),
    [
        ("200 a, 400 b", "200 a, 405 b", ("400 b", "405 b")),
        ("200 a, 405 b", "400 a", ("200 a", "400 a")),
        ("404 a, 200 b", "400 a, 200 b", ("404 a", "400 a")),
        ("100 proxy, 200 a", "400 a", ("200 a", "400 a")),
        ("100 proxy, 200 a", "200 a", ("100 proxy", "200 a")),
        ("400 a", "200 b, 1 requests at the application", None),
        ("200 a", "200 a, garbage", ("(missing)", "garbage")),
        ("1: a\nb", "1: a\nb\n2: c", ("(missing)", "2: c")),
    ],
)
def test_an_entry_covers_only_requests_that_differ(one, other, parts):
    assert unlike(one, other) == (parts or (one, other))


def test_the_same_cause_among_all_and_among_some():
    """The cause of a difference is the same for all pairs and for a subset."""
    some = difference(("200", NGINX[:1]), ("400", APACHE[:1]))
    every = difference(("200", NGINX), ("400", APACHE))
    assert some.cause == every.cause
    assert difference(("200", (*NGINX[:1], *APACHE[:1])), ("400", NGINX[1:])).shape == "uwsgi"
    assert short(NGINX) == "gunicorn-nginx uwsgi-nginx"
    assert short((NGINX[0], APACHE[0])) == "gunicorn-*"


def test_responses_are_read_as_they_are_framed():
    reply, rest = next_reply(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP", "GET")
    assert (reply.framing, reply.body, reply.whole, rest) == ("length", b"ab", True, b"HTTP")
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
    reply, rest = next_reply(chunked + b"0\r\n\r\nHTTP", "GET")
    assert (reply.framing, reply.body, reply.whole, rest) == ("chunked", b"ab", True, b"HTTP")
    reply, rest = next_reply(chunked, "GET")
    assert (reply.body, reply.whole) == (b"ab", False)
    reply, rest = next_reply(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHTTP", "HEAD")
    assert (reply.framing, reply.body, rest) == ("none", b"", b"HTTP")
    with pytest.raises(MalformedError):
        next_reply(b"<html>", "GET")
