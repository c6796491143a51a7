"""Requests over TLS, by libraries and byte by byte."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from tests.harness.stack import Stack


@dataclass
class HttpsStack(Stack):
    """A pair that runs with compose.tls.yaml.

    Its ``port`` is a tunnel's: what is sent there goes over TLS to the proxy, so that tests which
    write and read bytes need not know of TLS.
    """

    tunnel_port: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.session.verify = str(self.certificate)
        # A machine's own bundle of certificates would take precedence.
        self.session.trust_env = False

    @property
    def certificate(self) -> Path:
        """The certificate, which vouches for itself."""
        return self.folder / "secrets" / "tls" / "fullchain.pem"

    @property
    def https_port(self) -> int:
        """The port of this machine that serves HTTPS."""
        return self.published(8443)

    @property
    def url(self) -> str:
        """Where the proxy serves HTTPS."""
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
        """Pass on what comes; say at which port, and how this ends."""
        loop, ending = asyncio.get_running_loop(), asyncio.Event()

        ends: set[asyncio.Transport] = set()
        joins: set[asyncio.Task[None]] = set()

        async def join(client: End) -> None:
            # The certificate may be another by now.
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
    """One end of a connection: what comes in here goes out at the other, the close last."""

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
        # TLS cannot be closed by half: who stops sending has left.
        if self.other:
            self.other.close()
