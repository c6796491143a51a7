"""The application as Flask's documentation gives it to an ASGI server."""

from asgiref.wsgi import WsgiToAsgi
from hello import app

asgi_app = WsgiToAsgi(app)
