"""WebSockets, by the two libraries that Flask applications use."""

from flask import Blueprint, Response, jsonify, request
from flask_sock import Sock
from flask_socketio import SocketIO
from simple_websocket import Server

blueprint = Blueprint("sockets", __name__)
sock = Sock()
# Larger than the default, for messages of a megabyte, in which JSON escapes characters.
socketio = SocketIO(max_http_buffer_size=4_000_000)


@sock.route("/echo", bp=blueprint)
def echo(socket: Server) -> None:
    """Return each message, until the client closes the socket."""
    while True:
        socket.send(socket.receive())


@sock.route("/client", bp=blueprint)
def client(socket: Server) -> None:
    """Send what the application knows about the client, and close the socket."""
    for fact in (request.remote_addr, request.scheme, request.host):
        socket.send(fact)
    socket.send(request.headers["X-Request-ID"])


@blueprint.route("/headers", methods=["GET", "POST"])
def headers() -> Response:
    """Return the headers of an upgrade, if they were passed."""
    names = ("Upgrade", "Connection")
    return jsonify({name: request.headers[name] for name in names if name in request.headers})


@socketio.on("echo")
def echo_event(message: str | bytes) -> str | bytes:
    """Return the message of an event."""
    return message
