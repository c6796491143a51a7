"""The WebSocket of docs/extending.md, added to a new project as the page says."""

from pathlib import Path

import pytest
from pytest_docker.plugin import get_docker_services
from websocket import create_connection

from tests.lib.readme import blocks, run_page
from tests.lib.stack import Stack
from tests.lib.template import FACTS, PAIRS, ROOT, generate

PAGE = ROOT / "docs" / "extending.md"
# The first pair that can: tests/application/ tries sockets on all of them.
PAIR = next(pair for pair in PAIRS if FACTS["_servers"][pair.server]["websocket"])


def test_echo(engine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    project = generate(
        tmp_path,
        project_slug="echoes",
        package_name="echoes",
        wsgi_server=PAIR.server,
        proxy=PAIR.proxy,
    )
    run_page(PAGE, "python3 lock.py flask-sock", project)
    (view,) = blocks(PAGE, "python", "A WebSocket")
    with (project / "src" / "echoes" / "pages.py").open("a", encoding="utf-8") as pages:
        pages.write(f"\n\n{view}")
    (project / ".env").write_text("WEBSOCKETS=on\n", encoding="utf-8")
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", project.name)
    with get_docker_services(
        "docker compose",
        [str(project / "compose.yaml")],
        project.name,
        docker_setup=[],
        docker_cleanup=["down --volumes --rmi local --timeout 5"],
    ) as services:
        run_page(PAGE, "docker compose up --build --wait", project)
        stack = Stack(PAIR, project, project.name, services)
        socket = create_connection(f"ws://127.0.0.1:{stack.port}/echo", timeout=10)
        try:
            for message in ("one", "Grüße, 世界"):
                socket.send(message)
                assert socket.recv() == message
        finally:
            socket.shutdown()
