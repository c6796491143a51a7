"""Health endpoints, for the container engine and for load balancers."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from . import database

blueprint = Blueprint("health", __name__, url_prefix="/health")


@blueprint.get("/live")
def live() -> dict[str, str]:
    """Respond if the process can handle requests.

    It must not depend on anything else: a slow database is no reason to restart every replica.
    """
    return {"status": "ok"}


@blueprint.get("/ready")
def ready() -> ResponseReturnValue:
    """Respond if the application can serve requests.

    Check here what the application depends on, and return 503 if it is unavailable.
    """
    if not database.is_available():
        return {"status": "unavailable"}, 503
    return {"status": "ok"}
