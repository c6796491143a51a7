"""Exit 0 when the application answers /health/live: the image's HEALTHCHECK, without curl."""

import os
from http.client import HTTPConnection

from start import DEFAULTS

port = int(os.environ.get("PORT") or DEFAULTS["PORT"])
# Where only some host names are served, the check must ask for one of them.
host = os.environ.get("TRUSTED_HOSTS", "").split(",")[0].strip().lstrip(".") or "localhost"

connection = HTTPConnection("127.0.0.1", port, timeout=3)
connection.request("GET", "/health/live", headers={"Host": host, "Connection": "close"})
answer = connection.getresponse()
# To its end: some servers log an error when a client leaves in the middle of an answer.
answer.read()
if answer.status != 200:
    raise SystemExit(f"/health/live answered {answer.status}")
