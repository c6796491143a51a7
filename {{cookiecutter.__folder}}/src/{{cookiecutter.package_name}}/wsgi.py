"""What a WSGI server loads: ``app``, built once in each process."""

from . import create_app

app = create_app()
