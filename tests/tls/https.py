"""Requests over TLS, by libraries and byte by byte."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from tests.lib.stack import Stack


@dataclass
class HttpsStack(Stack):
    """A pair that runs with compose.tls.yaml.

    Its ``port`` is the port of a tunnel, which forwards bytes to the proxy over TLS. So tests that
    write and read bytes need no TLS code.
    """

    tunnel_port: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.session.verify = str(self.certificate)
        # A certificate bundle in the machine's environment would take precedence.
        self.session.trust_env = False

    @property
    def certificate(self) -> Path:
        """The certificate, which is self-signed."""
        return self.folder / "secrets" / "tls" / "fullchain.pem"

    @property
    def https_port(self) -> int:
        """The port of this machine that serves HTTPS."""
        return self.published(8443)

    @property
    def url(self) -> str:
        """The base URL at which the proxy serves HTTPS."""
        return f"https://127.0.0.1:{self.https_port}"

    @property
    def port(self) -> int:
        """The tunnel's port."""
        return self.tunnel_port

    @contextmanager
    def tunnel(self) -> Iterator[None]:
        """Open the tunnel, and close it."""
        opened: Future[tuple[int, Callable[[], object]]] = Future()
        thread = Thread(target=lambda: asyncio.run(self._forward(opened)))
        thread.start()
        self.tunnel_port, close = opened.result()
        try:
            yield
        finally:
            close()
            thread.join()

    async def _forward(self, opened: "Future[tuple[int, Callable[[], object]]]") -> None:
        """Forward connections; set ``opened`` to the port, and a function that stops this."""
        loop, ending = asyncio.get_running_loop(), asyncio.Event()

        ends: set[asyncio.Transport] = set()
        joins: set[asyncio.Task[None]] = set()

        async def join(client: End) -> None:
            # The certificate may have been replaced.
            context = ssl.create_default_context(cafile=self.certificate)
            try:
                client.other, _ = await loop.create_connection(
                    lambda: End(ends, client.own), "127.0.0.1", self.https_port, ssl=context
                )
            except OSError:
                client.own.close()
            else:
                client.own.resume_reading()

        class Client(End):
            def connection_made(self, transport: asyncio.Transport) -> None:
                super().connection_made(transport)
                transport.pause_reading()
                joins.add(loop.create_task(join(self)))

        server = await loop.create_server(lambda: Client(ends), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        opened.set_result((port, lambda: loop.call_soon_threadsafe(ending.set)))
        await ending.wait()
        server.close()
        for transport in ends.copy():
            transport.abort()
        while ends:
            await asyncio.sleep(0)  # until each has closed


class End(asyncio.Protocol):
    """One end of a tunnelled connection: forwards data, then the close, to the other end."""

    def __init__(
        self, ends: set[asyncio.Transport], other: asyncio.Transport | None = None
    ) -> None:
        self.ends, self.other = ends, other

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.own = transport
        self.ends.add(transport)

    def data_received(self, data: bytes) -> None:
        self.other.write(data)

    def pause_writing(self) -> None:
        self.other.pause_reading()

    def resume_writing(self) -> None:
        self.other.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        self.ends.discard(self.own)
        # TLS connections cannot be half-closed: a client that stops sending has disconnected.
        if self.other:
            self.other.close()
