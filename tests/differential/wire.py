"""Sends bytes, and reads the responses with strict checks of their framing."""

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from .case import CANARY, Case

# How a connection ended: closed by the proxy, closed after the client's half-close, or not closed.
CLOSED, CLOSED_AFTER_CLIENT, OPEN = "closed", "waits for the client", "stays open"


@dataclass
class Reply:
    """One response as received."""

    version: str
    status: int
    fields: list[tuple[str, str]]
    # "length", "chunked", "close", or "none" if there cannot be a body.
    framing: str
    body: bytes
    # Whether the body is complete.
    whole: bool

    def values(self, name: str) -> list[str]:
        """Return the values of all fields of a name."""
        return [value for each, value in self.fields if each.lower() == name.lower()]


@dataclass
class Conversation:
    """All data received on one connection."""

    replies: list[Reply] = field(default_factory=list)
    # Bytes after the last response that are not a response.
    rest: bytes = b""
    ended: str = CLOSED


class MalformedError(Exception):
    """The received data is not a valid response."""


def converse(port: int, case: Case, wait: float = 4) -> Conversation:
    """Send a case followed by the canary; return what is received until the peer closes.

    After ``wait`` seconds without data the sending half is closed; after ``wait`` more, the
    connection.
    """
    raw, ended = talk(port, case.data + CANARY, half_close=case.half_close, wait=wait)
    found = Conversation(ended=ended)
    while raw:
        try:
            final = sum(reply.status >= 200 for reply in found.replies)
            reply, raw = next_reply(raw, case.method(final))
        except MalformedError:
            found.rest = raw
            break
        found.replies.append(reply)
    return found


def talk(port: int, data: bytes, *, half_close: bool, wait: float) -> tuple[bytes, str]:
    """Return all received bytes, and how the connection ended."""
    received = bytearray()
    ended = CLOSED
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as connection:
        # A request may be rejected before all was sent: the response has the reason.
        with suppress(OSError):
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        while True:
            try:
                part = connection.recv(65536)
            except TimeoutError:
                if ended != CLOSED or half_close:
                    return bytes(received), OPEN
                ended = CLOSED_AFTER_CLIENT
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
                continue
            except ConnectionResetError:
                part = b""
            if not part:
                return bytes(received), ended
            received += part


def next_reply(raw: bytes, method: str) -> tuple[Reply, bytes]:
    """Return the first response and what follows it. Raises MalformedError if there is none."""
    head, end, rest = raw.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    found = re.fullmatch(r"(HTTP/1\.[01]) (\d{3})(?: [\t -~]*)?", line)
    if not end or not found:
        raise MalformedError(line)
    fields = []
    for each in lines:
        name, colon, value = each.partition(":")
        if not colon or not re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", name):
            raise MalformedError(each)
        fields.append((name, value.strip(" \t")))
    reply = Reply(found[1], int(found[2]), fields, "none", b"", whole=True)
    if method == "HEAD" or reply.status < 200 or reply.status in (204, 304):
        return reply, rest
    codings, lengths = reply.values("Transfer-Encoding"), reply.values("Content-Length")
    if codings:
        reply.framing = "chunked" if not lengths else "chunked and length"
        reply.body, reply.whole, rest = dechunk(rest)
    elif lengths:
        reply.framing = "length"
        size = int(lengths[0])
        reply.body, rest = rest[:size], rest[size:]
        reply.whole = len(reply.body) == size
    else:
        reply.framing, reply.body, rest = "close", rest, b""
    return reply, rest


def chunks(raw: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield each chunk's data and the offset of the next, including the last, empty one."""
    place = 0
    while found := re.compile(rb"([0-9a-fA-F]+)[^\r\n]*\r\n").match(raw, place):
        start, size = found.end(), int(found[1], 16)
        if raw[start + size : start + size + 2] != b"\r\n":
            return
        place = start + size + 2
        yield raw[start : start + size], place
        if size == 0:
            return


def dechunk(raw: bytes) -> tuple[bytes, bool, bytes]:
    """Return a chunked body's data, whether it is complete, and the bytes after it."""
    body, place, data = b"", 0, b"x"
    for data, place in chunks(raw):  # noqa: B007 (the last one is checked below)
        body += data
    whole = data == b""
    return body, whole, raw[place:] if whole else b""
