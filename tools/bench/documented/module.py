"""The application for an ASGI server, as in Flask's documentation."""

from asgiref.wsgi import WsgiToAsgi
from hello import app

asgi_app = WsgiToAsgi(app)
