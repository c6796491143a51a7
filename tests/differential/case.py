r"""A request, or a few on one connection, as bytes; and the text files that keep them.

A file in ``corpus/`` is similar to the ``.http`` request files that editors support::

    ### name-of-the-case
    # Why it is here.
    GET /echo HTTP/1.1
    Host: localhost
    X-A: b\rX-C: d

Each line ends with CRLF on the wire. A case without an empty line is a request without a body; the
text after an empty line is sent as the body, without the last line's end. ``\r``, ``\n``, ``\t``,
``\\`` and ``\x00`` have the same meaning as in Python, and ``{a*9000}`` is "a" 9,000 times.

Flags in brackets after the name: ``raw``: lines are joined without CRLF, and nothing is added;
``half-close``: the client closes its sending side after the data, because the request is incomplete
and the server would wait for the rest; ``HEAD`` or other methods, separated by commas: the methods
of the requests, if the first line does not contain them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\", "{": "{"}
# Sent after the case on the same connection: its response shows where the proxy continues to read.
CANARY = b"GET /canary HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Case:
    """The data that is sent on one connection."""

    name: str
    data: bytes
    # Needed to parse the responses: a response to HEAD has no body.
    methods: tuple[str, ...] = ()
    half_close: bool = False
    # The unusual features of the request, from the generator in grammar.py.
    labels: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.name

    def method(self, number: int) -> str:
        """Return the method of a request by its index on the connection."""
        if number < len(self.methods):
            return self.methods[number]
        first = self.data.lstrip(b"\r\n").split(b" ")[0].decode("latin-1")
        return first if number == 0 and not self.methods else "GET"

    def text(self) -> str:
        """Return the case in the format of a corpus file."""
        flags = [",".join(self.methods)] if self.methods else []
        flags += ["half-close"] if self.half_close else []
        head, end, body = self.data.partition(b"\r\n\r\n")
        if not end or head.startswith((b"\r", b"\n")):
            flags.append("raw")
            lines = [shown(line) for line in re.findall(rb"[^\n]*\n|[^\n]+$", self.data)]
        else:
            lines = [shown(line) for line in head.split(b"\r\n")]
            if body:
                lines += ["", *(shown(line) for line in body.split(b"\r\n"))]
                # An editor removes empty lines at the end, and the parser does not count them.
                while lines[-1] == "":
                    lines.pop()
                    lines[-1] += r"\r\n"
        header = f"### {self.name}" + (f" [{' '.join(flags)}]" if flags else "")
        return "\n".join([header, *lines, ""])


def shown(data: bytes) -> str:
    """Return bytes in the format of a corpus file."""
    text = data.decode("latin-1")
    text = re.sub(r"[\\{]", lambda found: "\\" + found[0], text)
    text = text.replace("\r", r"\r").replace("\n", r"\n").replace("\t", r"\t")
    text = re.sub(r"[^ -~]", lambda found: f"\\x{ord(found[0]):02x}", text)
    text = re.sub(r"([^\\{}])\1{29,}", lambda found: f"{{{found[1]}*{len(found[0])}}}", text)
    # Escape a trailing space, which editors remove, and a leading "#": a new case or a comment.
    text = re.sub(r" $", r"\\x20", text)
    return re.sub(r"^#", r"\\x23", text)


def sent(text: str) -> bytes:
    """Return the bytes for a text in the format of a corpus file."""

    def one(found: re.Match) -> str:
        if found["times"]:
            return found["what"] * int(found["times"])
        return chr(int(found["hex"], 16)) if found["hex"] else ESCAPES[found["one"]]

    pattern = r"\\x(?P<hex>[0-9a-f]{2})|\\(?P<one>.)|\{(?P<what>.+?)\*(?P<times>\d+)\}"
    return re.sub(pattern, one, text).encode("latin-1")


def parse(text: str, group: str) -> Iterator[Case]:
    """Yield the cases of one file; the file's name is the prefix of their names."""
    for block in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        title, _, rest = block.partition("\n")
        name, flags = re.fullmatch(r"(\S+)(?: \[(.*)\])?", title.strip()).groups()  # type: ignore[union-attr]
        lines = rest.rstrip("\n").split("\n")
        while lines and lines[0].startswith("#"):
            lines.pop(0)
        words = (flags or "").split()
        methods = next((word for word in words if word.isupper() or "," in word), "")
        if "raw" in words:
            data = b"".join(map(sent, lines))
        else:
            data = b"\r\n".join(map(sent, lines)) + (b"" if "" in lines else b"\r\n\r\n")
        yield Case(
            f"{group}/{name}",
            data,
            tuple(methods.split(",")) if methods else (),
            half_close="half-close" in words,
        )


def corpus() -> list[Case]:
    """Return the cases of all files."""
    return [
        case
        for file in sorted(CORPUS.glob("*.http"))
        for case in parse(file.read_text(encoding="ascii"), file.stem)
    ]
