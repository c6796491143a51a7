"""Health endpoints, for the container engine and for load balancers."""

from flask import Blueprint

blueprint = Blueprint("health", __name__, url_prefix="/health")


@blueprint.get("/live")
def live() -> dict[str, str]:
    """Say that the process answers.

    It touches nothing else: a database that is slow is no reason to restart every replica.
    """
    return {"status": "ok"}


@blueprint.get("/ready")
def ready() -> dict[str, str]:
    """Say whether requests can be served.

    Ask here what the application depends on, and answer 503 when that is away.
    """
    return {"status": "ok"}
