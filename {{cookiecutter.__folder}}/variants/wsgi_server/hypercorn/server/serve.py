"""Hypercorn: one process; a2wsgi runs the application in threads. https://hypercorn.readthedocs.io/"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Iterable
from importlib import import_module
from itertools import takewhile
from threading import Event
from urllib.parse import unquote_to_bytes
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from a2wsgi import WSGIMiddleware
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import (
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
)
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import ClosingIterator


class Server:
    """The application as Hypercorn takes it, and whether it is to stop."""

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app
        self.adapter = WSGIMiddleware(self.wsgi_app, workers=int(os.environ["WEB_THREADS"]))
        self.stopping = asyncio.Event()

    async def serve(self) -> None:
        """Serve until a signal says to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stopping.set)
        await serve(self.asgi_app, configuration(), shutdown_trigger=self.stopping.wait)

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Run the application, with three things put right that a2wsgi does not know of."""
        scope = environ["asgi.scope"]
        # ASGI's path is text, so that it has lost the bytes that are no UTF-8.
        environ["PATH_INFO"] = unquote_to_bytes(scope["raw_path"]).decode("latin-1")
        # A body without a length ends where its last chunk does.
        if "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input_terminated"] = True
        body = self.app(environ, start_response)
        # Once the client has left, a streamed answer ends: it would keep its thread for ever.
        present = takewhile(lambda _: not scope["client_left"].is_set(), body)
        return ClosingIterator(present, getattr(body, "close", None))

    async def asgi_app(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Run the adapter, and note when the client leaves."""
        if self.stopping.is_set() and scope["type"] == "http":
            # Hypercorn is closing the connections that it takes for idle, maybe this one, too.
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return

        left = Event()
        watchers = []

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            left.set()

        async def receive_whole() -> ASGIReceiveEvent:
            # To a2wsgi, a body whose client leaves would end there as if it were whole.
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ClientDisconnected
            return event

        async def send_and_watch(event: ASGISendEvent) -> None:
            # The application has read the whole request by then (see drain.py).
            if event["type"] == "http.response.start":
                watchers.append(asyncio.create_task(watch()))
            await send(event)

        try:
            await self.adapter(
                scope | {"client_left": left, "headers": unambiguous(scope.get("headers", []))},
                receive_whole,
                send_and_watch,
            )
        finally:
            for watcher in watchers:
                watcher.cancel()


def unambiguous(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Drop names with an underscore: WSGI cannot tell them from those with a hyphen."""
    return [header for header in headers if b"_" not in header[0]]


def configuration() -> Config:
    """Return Hypercorn's settings."""
    logs = import_module("{{ cookiecutter.package_name }}.logs")
    config = Config()
    socket = os.environ.get("UNIX_SOCKET")
    config.bind = [f"unix:{socket}" if socket else "{LISTEN_ADDRESS}:{PORT}".format_map(os.environ)]
    # For a unix socket: whoever reaches its folder may connect.
    config.umask = 0
    config.backlog = 1024
    config.graceful_timeout = int(os.environ["GRACEFUL_TIMEOUT"])
    # Longer than the proxy keeps a connection, so that it never writes into one being closed.
    config.keep_alive_timeout = 75
    # Requests are logged by the proxy or, with ACCESS_LOG, by the application.
    config.accesslog = None
    # Its own lines too go through the application's logging.
    config.errorlog = logging.getLogger("hypercorn.error")
    config.logconfig_dict = logs.dict_config(os.environ["LOG_LEVEL"].upper())
    config.include_server_header = False
    # The size of request line and headers together, above what the proxy lets through and adds.
    config.h11_max_incomplete_size = 65_536
    return config


# A process that a view starts by spawn or forkserver imports this file again.
if __name__ == "__main__":
    # Nothing is there to finish yet; by itself a container's first process would ignore it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    asyncio.run(Server(import_module("{{ cookiecutter.package_name }}.wsgi").app).serve())
