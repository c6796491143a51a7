"""Hypercorn: one process; a2wsgi runs the application in threads. https://hypercorn.readthedocs.io/"""

import asyncio
import logging
import os

from a2wsgi import WSGIMiddleware
from hypercorn.asyncio import serve
from hypercorn.config import Config

from {{ cookiecutter.package_name }} import logs
from {{ cookiecutter.package_name }}.wsgi import app

config = Config()
config.bind = [f"0.0.0.0:{os.environ['PORT']}"]
config.backlog = 1024
config.graceful_timeout = int(os.environ["GRACEFUL_TIMEOUT"])
# Longer than the proxy keeps a connection, so that it never writes into one that is being closed.
config.keep_alive_timeout = 75
# The application logs each answer itself, with its request id.
config.accesslog = None
# Its own lines too go through the application's logging.
config.errorlog = logging.getLogger("hypercorn.error")
config.logconfig_dict = logs.dict_config(os.environ["LOG_LEVEL"].upper())
config.include_server_header = False

asyncio.run(serve(WSGIMiddleware(app, workers=int(os.environ["WEB_THREADS"])), config))
