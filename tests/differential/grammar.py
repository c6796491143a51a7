"""Generates requests: ordinary ones with up to three unusual features.

Each unusual feature has a label, such as "host:port". After shrinking, a case has only the labels
that are needed for the difference, so they show its cause.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from .case import Case

Text = SearchStrategy[str]


def words(text: str, separator: str = " ") -> SearchStrategy[str]:
    """Return a strategy for one of the words."""
    return st.sampled_from(text.split(separator))


TOKEN = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=8)
NAMES = words(
    "Accept Accept-Charset Accept-Encoding Accept-Language Authorization Cache-Control Connection "
    "Content-Encoding Content-Language Content-Location Content-Range Content-Type Cookie Date "
    "Expect Forwarded From Host If-Match If-Modified-Since If-None-Match If-Range "
    "If-Unmodified-Since Keep-Alive Max-Forwards Origin Pragma Prefer Priority Proxy "
    "Proxy-Authorization Proxy-Connection Range Referer TE Trailer Upgrade User-Agent Via Warning "
    "X-Accel-Redirect X-Forwarded-For X-Forwarded-Host X-Forwarded-Port X-Forwarded-Prefix "
    "X-Forwarded-Proto X-HTTP-Method-Override X-Original-URL X-Real-IP X-Request-ID X-Rewrite-URL "
    "X-Sendfile X-Script-Name Baggage Traceparent Tracestate Sec-WebSocket-Key HTTP2-Settings"
)
VALUES = words(
    "close|keep-alive|x|0|1|-1|*|gzip|identity|chunked|trailers|100-continue|bytes=0-1|no-cache|"
    '"entity"|W/"entity"|Tue, 14 Nov 2023 22:13:20 GMT|a=b; c=d|a=b, c=d|text/html;q=0.5|a/b|'
    "http|https|6.6.6.6|/x|/static/style.css|localhost|evil.example:99|Basic YTpi|Bearer x|h2c|"
    "websocket|,|;|, x|x,|x, y|\t|x\ty|  x  ",
    "|",
)
RESPONSE_NAMES = words(
    "Age Allow Cache-Control Content-Disposition Content-Encoding Content-Language "
    "Content-Location Content-Range Content-Type Date ETag Expires Last-Modified Link Location "
    "Pragma Refresh Retry-After Server Set-Cookie Strict-Transport-Security Vary Via "
    "WWW-Authenticate X-Accel-Buffering X-Frame-Options X-Content-Type-Options "
    "Content-Security-Policy Referrer-Policy Permissions-Policy X-Powered-By X-Request-ID X-A"
)
HOSTS = st.text("aB1.-_:[]%@, ;!*()'\"<>\\/?#\x7f\xe4", max_size=8)
ANY_BYTE = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=6)
ODD_TEXT = st.text("aA1 \t,;:=\"\\()<>{}[]%/?#&'\x00\x01\x0b\x7f\x80\x85\xa0\xff", max_size=6)
PATHS = st.lists(
    words(
        "a A 1 . .. / // ; : @ ! $ & ' ( ) * + , = ~ - _ %2F %2f %2e %00 %0a %0d%0a %20 %25 %3F "
        '%23 %5c %c3%a4 %ff %zz % %4 < > " { } | ^ ` [ ] \\ # static static/style.css health/proxy'
    ),
    max_size=4,
).map("".join)
BODIES = {
    "form": ("application/x-www-form-urlencoded", b"a=1&a=2&%C3%A4=%FF&b"),
    "json": ("application/json", b'{"a": [1, null]}'),
    "multipart": (
        "multipart/form-data; boundary=xx",
        b'--xx\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b'--xx\r\nContent-Disposition: form-data; name="f"; filename="\xc3\xa4"\r\n\r\n'
        b"x\r\n--xx--\r\n",
    ),
    "binary": ("application/octet-stream", bytes(range(256))),
    "like a request": ("", b"GET /echo/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"),
}


@dataclass
class Draft:
    """A request under construction."""

    method: str = "GET"
    target: str = "/echo"
    version: str = "HTTP/1.1"
    spaces: tuple[str, str, str] = ("", " ", " ")
    hosts: list[str] = field(default_factory=lambda: ["Host: localhost"])
    lines: list[str] = field(default_factory=list)
    body: bytes = b""
    line_end: str = "\r\n"
    half_close: bool = False

    def data(self) -> bytes:
        """Return the bytes of the request."""
        before, first, second = self.spaces
        line = f"{before}{self.method}{first}{self.target}{second}{self.version}"
        head = self.line_end.join([line, *self.hosts, *self.lines, "", ""])
        return head.encode("latin-1") + self.body


# By label: a function that makes a draft unusual.
Change = Callable[[DrawFn, Draft], None]
CHANGES: dict[str, Change] = {}


def change(label: str) -> Callable[[Change], Change]:
    """Register a function that makes a request unusual."""

    def register(function: Change) -> Change:
        CHANGES[label] = function
        return function

    return register


def setter(label: str, attribute: str, values: SearchStrategy) -> None:
    """Register a change that sets an attribute of the draft."""

    def set_it(draw: DrawFn, draft: Draft) -> None:
        setattr(draft, attribute, draw(values))

    CHANGES[label] = set_it


def adder(label: str, line: Text) -> None:
    """Register a change that adds a header line."""

    def add_it(draw: DrawFn, draft: Draft) -> None:
        draft.lines.append(draw(line))

    CHANGES[label] = add_it


def lines(names: Text, values: Text) -> Text:
    """Return a strategy for header lines with these names and values."""
    return st.builds("{}: {}".format, names, values)


# --- The request line ---
setter("method:known", "method", words("HEAD POST PUT PATCH DELETE OPTIONS"))
setter("method:other", "method", words("TRACE CONNECT QUERY PROPFIND PRI get"))
setter("method:token", "method", TOKEN)
setter("method:text", "method", ODD_TEXT)
setter("target:path", "target", PATHS.map("/{}".format))
setter("target:below", "target", PATHS.map("/echo/{}".format))
setter("target:static", "target", PATHS.map("/static/{}".format))
setter("target:query", "target", PATHS.map("/echo?{}".format))
setter("target:absolute", "target", st.builds("http://{}/echo{}".format, HOSTS, PATHS))
setter("target:bytes", "target", ANY_BYTE.map("/echo/{}".format))
setter("target:any", "target", ODD_TEXT)
setter(
    "target:size",
    "target",
    st.sampled_from([4000, 4080, 8100, 8180, 16300, 16366, 16367, 16368, 16369, 16370, 16384]).map(
        lambda size: "/echo?" + "q" * (size - 6)
    ),
)
setter("version:1.0", "version", st.just("HTTP/1.0"))
setter("version:other", "version", words("HTTP/1.2 HTTP/2.0 HTTP/0.9 http/1.1"))
setter("version:text", "version", ODD_TEXT)
setter(
    "line:spaces",
    "spaces",
    st.tuples(*[st.sampled_from(["", " ", "  ", "\t", "\r\n", "\n", "\x0b"])] * 3),
)
setter("line:LF", "line_end", st.just("\n"))

# --- Host ---
setter("host:none", "hosts", st.just([]))
setter("host:text", "hosts", HOSTS.map(lambda host: [f"Host: {host}"]))
setter("host:port", "hosts", st.text("0123456789-+ a", max_size=6).map(lambda p: [f"Host: a:{p}"]))
setter("host:twice", "hosts", HOSTS.map(lambda host: ["Host: localhost", f"Host: {host}"]))
setter("host:bytes", "hosts", ANY_BYTE.map(lambda host: [f"Host: {host}"]))
setter(
    "host:size",
    "hosts",
    st.sampled_from([63, 64, 253, 254, 255, 256, 1000, 8200]).map(lambda n: [f"Host: {'h' * n}"]),
)

# --- Header fields ---
adder("field:meaning", lines(NAMES, VALUES))
adder("field:name", lines(TOKEN, st.just("b")))
adder("field:name-text", st.builds("{}: b".format, ODD_TEXT))
adder("field:value", lines(st.just("X-A"), ODD_TEXT))
adder("field:value-bytes", lines(NAMES, ANY_BYTE))
adder("field:colon", st.sampled_from(["X-A", "X-A :b", "X-A\t: b", ":b", ": b", "X-A:b", "X-A::b"]))
adder("field:fold", st.sampled_from(["X-A: b\r\n c", "X-A:\r\n\tc", " X-A: b", "X-A: b\r\n "]))
adder("field:ends", st.sampled_from(["X-A: b\nX-C: d", "X-A: b\rX-C: d", "X-A: b\r", "\rX-A: b"]))
adder(
    "field:underscore",
    NAMES.map(lambda name: name.replace("-", "_")).flatmap(
        lambda name: lines(st.just(name), VALUES)
    ),
)
adder("connection:option", lines(st.just("Connection"), NAMES | VALUES | TOKEN))
adder("cookie", lines(st.just("Cookie"), st.text('ab=;, "\\\t\xe4', max_size=10)))
adder("form:type", lines(st.just("Content-Type"), VALUES | ODD_TEXT))


@change("field:twice")
def twice(draw: DrawFn, draft: Draft) -> None:
    name = draw(NAMES)
    draft.lines += [f"{name}: {draw(VALUES)}", f"{name}: {draw(VALUES)}"]


@change("field:size")
def size(draw: DrawFn, draft: Draft) -> None:
    draft.lines.append(
        "X-A: " + "a" * draw(st.sampled_from([4000, 8100, 8185, 16300, 16370, 16379]))
    )


@change("field:large")
def large(draw: DrawFn, draft: Draft) -> None:
    draft.lines += ["X-A: " + "a" * 7993] * draw(st.integers(1, 9))


@change("field:count")
def count(draw: DrawFn, draft: Draft) -> None:
    draft.lines += ["X-A: b"] * draw(st.sampled_from([50, 90, 97, 98, 99, 100, 101, 150]))


# --- Bodies ---
@change("body:length")
def with_length(draw: DrawFn, draft: Draft) -> None:
    kind, draft.body = BODIES[draw(st.sampled_from(sorted(BODIES)))]
    draft.method = draw(st.sampled_from(["POST", "PUT", "GET", "DELETE", "HEAD"]))
    draft.lines += [f"Content-Type: {kind}"] * bool(kind)
    draft.lines.append(f"Content-Length: {len(draft.body)}")


@change("body:chunked")
def with_chunks(draw: DrawFn, draft: Draft) -> None:
    draft.method = draw(st.sampled_from(["POST", "PUT", "GET"]))
    draft.lines.append("Transfer-Encoding: chunked")
    for _ in range(draw(st.integers(0, 3))):
        data = b"h" * draw(st.integers(1, 20))
        draft.body += b"%x%s\r\n%s\r\n" % (len(data), draw(EXTENSIONS).encode("latin-1"), data)
    draft.body += b"0\r\n" + draw(TRAILERS).encode("latin-1") + b"\r\n"


EXTENSIONS = st.just("") | st.sampled_from([";", ";a", ";a=b", ';a="b;c"', " ", ";a\x00", ";\t"])
TRAILERS = st.just("") | st.sampled_from(
    ["X-A: b\r\n", "Host: evil\r\n", "Content-Length: 5\r\n", "X-A\r\n", " \r\n", "X_A: b\r\n"]
)


@change("body:chunk-size")
def chunk_size(draw: DrawFn, draft: Draft) -> None:
    draft.method = "POST"
    draft.lines.append("Transfer-Encoding: chunked")
    text = draw(st.text("0123fFxX+-_ \t;,.\x00\n\r", max_size=5))
    draft.body = text.encode() + b"\r\nhello\r\n0\r\n\r\n"
    draft.half_close = True


@change("body:cut")
def cut(draw: DrawFn, draft: Draft) -> None:
    draft.method = "POST"
    draft.lines.append(draw(st.sampled_from(["Content-Length: 999", "Transfer-Encoding: chunked"])))
    draft.body = b"5\r\nhello\r\n"
    draft.half_close = True


@change("body:limit")
def limit(draw: DrawFn, draft: Draft) -> None:
    length = draw(st.sampled_from([65535, 65536, 65537, 70000]))
    draft.method = "POST"
    if draw(st.booleans()):
        draft.lines.append("Transfer-Encoding: chunked")
        draft.body = b"%x\r\n%s\r\n0\r\n\r\n" % (length, b"b" * length)
    else:
        draft.lines.append(f"Content-Length: {length}")
        draft.body = b"b" * length


@change("framing:length")
def odd_length(draw: DrawFn, draft: Draft) -> None:
    draft.method = draw(st.sampled_from(["POST", "GET"]))
    draft.lines.append("Content-Length:" + draw(st.text(' 05+-,.xe_\t\x0b\x00"', max_size=6)))
    draft.body = b"hello"
    draft.half_close = True


@change("framing:coding")
def odd_coding(draw: DrawFn, draft: Draft) -> None:
    parts = ["chunked", "gzip", "identity", "CHUNKED", "x", ",", ";", " ", "\t", '"', "=", "\x0b"]
    draft.method = draw(st.sampled_from(["POST", "GET"]))
    value = "".join(draw(st.lists(st.sampled_from(parts), max_size=4)))
    draft.lines.append(f"Transfer-Encoding: {value}")
    draft.body = b"5\r\nhello\r\n0\r\n\r\n"
    draft.half_close = True


@change("framing:both")
def both(draw: DrawFn, draft: Draft) -> None:
    draft.method = "POST"
    draft.body = b"5\r\nhello\r\n0\r\n\r\n"
    length = draw(st.sampled_from([0, 5, len(draft.body), 99]))
    framing = ["Transfer-Encoding: chunked", f"Content-Length: {length}"]
    draft.lines += draw(st.permutations(framing))
    draft.half_close = True


# --- Conditional and range requests ---
CONDITIONS = words("If-Match If-None-Match If-Modified-Since If-Unmodified-Since If-Range Range")
ENTITIES = words(
    '"entity"|W/"entity"|*|"x", "entity"|entity||Tue, 14 Nov 2023 22:13:20 GMT|'
    "Tue, 14 Nov 2034 22:13:20 GMT|bytes=0-9|bytes=-5|bytes=90-|bytes=5-2|lines=1-2|"
    "bytes=0-1,3-4|bytes=999-",
    "|",
)


@change("conditional")
def conditional(draw: DrawFn, draft: Draft) -> None:
    draft.target = draw(
        st.sampled_from(["/respond?conditional=1&size=100", "/static/style.css", "/health/proxy"])
    )
    for name in draw(st.lists(CONDITIONS, min_size=1, max_size=2)):
        draft.lines.append(f"{name}: {draw(ENTITIES)}")


@change("encoding")
def encoding(draw: DrawFn, draft: Draft) -> None:
    draft.target = draw(st.sampled_from(["/static/style.css", "/respond?size=3000"]))
    parts = ["gzip", "br", "*", "identity", ";q=0", ";q=0.5", ";q=1", ", ", "GZIP", " ", "deflate"]
    value = "".join(draw(st.lists(st.sampled_from(parts), max_size=5)))
    draft.lines.append(f"Accept-Encoding: {value}")


# --- Responses ---
def responds(draft: Draft, query: str) -> None:
    """Change the target to /respond with this query, or add to its query."""
    before = draft.target.partition("/respond?")[2]
    parts = [part.partition("=") for part in f"{before}&{query}".split("&") if part]
    wanted = {name: value for name, _, value in parts}
    draft.target = "/respond?" + "&".join(f"{name}={value}" for name, value in wanted.items())


@change("response:status")
def status(draw: DrawFn, draft: Draft) -> None:
    responds(draft, f"status={draw(st.integers(200, 599))}")


@change("response:field")
def response_field(draw: DrawFn, draft: Draft) -> None:
    values = st.text("aA1 ,;:=\"/'()<>*-\xe4", min_size=1, max_size=8) | VALUES
    values = values.map(str.strip).filter(bool)
    names = RESPONSE_NAMES | st.text("abX-1", min_size=1, max_size=5)
    responds(draft, "field=" + quote(f"{draw(names)}: {draw(values)}"))


@change("response:size")
def response_size(draw: DrawFn, draft: Draft) -> None:
    responds(draft, f"size={draw(st.sampled_from([0, 1, 4096, 65535, 65536, 100000, 300000]))}")


@change("response:stream")
def stream(draw: DrawFn, draft: Draft) -> None:
    responds(
        draft, f"size={draw(st.sampled_from([0, 100, 100000]))}&parts={draw(st.integers(1, 9))}"
    )


@change("response:length")
def response_length(draw: DrawFn, draft: Draft) -> None:
    responds(draft, f"size=10&parts=2&length={draw(st.sampled_from([10, 9, 5, 0]))}")


@change("response:early")
def early(draw: DrawFn, draft: Draft) -> None:
    length = draw(st.sampled_from(["", "&length=100000"]))
    responds(draft, f"size=100000&parts={draw(st.integers(2, 9))}&end=early{length}")


@change("response:header-size")
def header_size(draw: DrawFn, draft: Draft) -> None:
    responds(draft, f"pad={draw(st.sampled_from([4000, 8100, 16300, 32000, 59000, 60000]))}")


@change("response:header-count")
def header_count(draw: DrawFn, draft: Draft) -> None:
    responds(draft, f"fields={draw(st.sampled_from([50, 90, 100, 150]))}")


@st.composite
def requests(draw: DrawFn) -> tuple[Draft, frozenset[str]]:
    """Draw one request and its labels."""
    labels = draw(st.lists(st.sampled_from(list(CHANGES)), max_size=3, unique=True))
    draft = Draft()
    for label in labels:
        CHANGES[label](draw, draft)
    return draft, frozenset(labels)


@st.composite
def cases(draw: DrawFn) -> Case:
    """Draw the data for one connection: mostly one request, sometimes up to three."""
    drafts, labels = zip(*draw(PIPELINES), strict=True)
    found = frozenset().union(*labels)
    if len(drafts) > 1:
        found |= {"pipelined"}
    return Case(
        "+".join(sorted(found)) or "plain",
        b"".join(draft.data() for draft in drafts),
        tuple(draft.method for draft in drafts),
        half_close=any(draft.half_close for draft in drafts),
        labels=found,
    )


PIPELINES = st.lists(requests(), min_size=1, max_size=1) | st.lists(
    requests(), min_size=1, max_size=3
)
