"""Hypercorn: one process; a2wsgi runs the application in threads.

https://hypercorn.readthedocs.io/
"""

import asyncio
import logging
import os
import signal
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
    """The application as an ASGI application, and its shutdown."""

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app
        self.adapter = WSGIMiddleware(self.wsgi_app, workers=int(os.environ["WEB_THREADS"]))
        self.stopping = asyncio.Event()

    async def serve(self) -> None:
        """Serve until a stop signal."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stopping.set)
        await serve(self.asgi_app, configuration(), shutdown_trigger=self.stopping.wait)

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Run the application with three corrections for a2wsgi."""
        scope = environ["asgi.scope"]
        # ASGI's path is decoded text, without the bytes that are not valid UTF-8.
        environ["PATH_INFO"] = unquote_to_bytes(scope["raw_path"]).decode("latin-1")
        # A body without a length ends with its last chunk.
        if "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input_terminated"] = True
        body = self.app(environ, start_response)
        # End a stream when the client has disconnected: it could occupy its thread forever.
        present = takewhile(lambda _: not scope["client_left"].is_set(), body)
        return ClosingIterator(present, getattr(body, "close", None))

    async def asgi_app(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Run the adapter, and detect when the client disconnects."""
        if self.stopping.is_set() and scope["type"] == "http":
            # Hypercorn is closing idle connections and may consider this one idle.
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
            # a2wsgi would treat the body as complete if the client disconnects.
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ClientDisconnected
            return event

        async def send_and_watch(event: ASGISendEvent) -> None:
            # By then the application has read the whole request (see drain.py).
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
    """Remove names with underscores, which WSGI cannot distinguish from hyphens."""
    return [header for header in headers if b"_" not in header[0]]


def configuration() -> Config:
    """Return Hypercorn's settings."""
    logs = import_module("{{ cookiecutter.package_name }}.logs")
    config = Config()
    socket = os.environ.get("UNIX_SOCKET")
    config.bind = [f"unix:{socket}" if socket else "{LISTEN_ADDRESS}:{PORT}".format_map(os.environ)]
    # For a unix socket: access is controlled by the permissions of its folder.
    config.umask = 0
    config.backlog = 1024
    config.graceful_timeout = int(os.environ["GRACEFUL_TIMEOUT"])
    # Longer than the proxy keeps idle connections, so that it does not send on a closing one.
    config.keep_alive_timeout = 75
    # The proxy or, with ACCESS_LOG, the application logs requests.
    config.accesslog = None
    # Hypercorn's messages in the application's log format.
    config.errorlog = logging.getLogger("hypercorn.error")
    config.logconfig_dict = logs.dict_config(os.environ["LOG_LEVEL"].upper())
    config.include_server_header = False
    # The size of the request line and headers together, higher than the proxy's limit.
    config.h11_max_incomplete_size = 65_536
    return config


# Processes that views start by spawn or forkserver import this file again.
if __name__ == "__main__":
    asyncio.run(Server(import_module("{{ cookiecutter.package_name }}.wsgi").app).serve())
