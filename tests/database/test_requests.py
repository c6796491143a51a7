"""Requests that use the database: on every server, under load, and when the database fails."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tests.lib.load import Outcome, ask, ask_at_once, load
from tests.lib.readme import run_readme
from tests.lib.stack import Stack, wait_until
from tests.lib.template import EACH_SERVER, FACTS, Pair
from tests.pairs.test_logs import RECORD

from .conftest import PACKAGE, SETTINGS
from .server import APPLICATION, connections, counting, most_connections, query, wait_for_server

GREENLETS = [pair for pair in EACH_SERVER if FACTS["_servers"][pair.server]["greenlets"]]
THREADS = [pair for pair in EACH_SERVER if pair not in GREENLETS]

# A release's migration: the column that its code needs, with a default for the running release.
EXPAND = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.add_column("note", sa.Column("title", sa.Text, nullable=False, server_default=""))


def downgrade():
    op.drop_column("note", "title")
"""

# The same in a project: a number, which the model then has too.
RANK = """
import sqlalchemy as sa
from alembic import op

revision = "rank"
down_revision = "{}"


def upgrade():
    op.add_column("note", sa.Column("rank", sa.Integer, nullable=False, server_default="0"))


def downgrade():
    op.drop_column("note", "rank")
"""
RANK_IN_MODEL = "    rank: Mapped[int] = mapped_column(server_default='0')\n"

# Opens all connections that the database allows, also those that a health check has for a moment,
# and ends when the first one is terminated.
OCCUPY = """
import contextlib, pathlib, psycopg, time
password = pathlib.Path("/run/secrets/database_password").read_text().strip()
kept = []
while True:
    with contextlib.suppress(psycopg.OperationalError):
        kept.append(psycopg.connect(
            host="db", user="app", dbname="app", password=password, autocommit=True
        ))
    kept[0].execute("SELECT 1")
    time.sleep(0.01)
"""


def urls(stack: Stack, path: str, times: int) -> list[str]:
    """Return URLs of a view, each with a name of its own."""
    return [f"{stack.url}/trial/{path}/{uuid4().hex}" for _ in range(times)]


def test_first_start(stack: Stack):
    """The schema is there, and the log of migrations has the fields of the application's."""
    migrate = stack.container("migrate")
    assert migrate.attrs["State"]["ExitCode"] == 0
    entries = [json.loads(line) for line in migrate.logs().decode().splitlines()]
    assert all(set(entry) == RECORD for entry in entries)
    assert sum("Running upgrade" in entry["message"] for entry in entries) == 1
    assert stack.get("/health/ready").json() == {"status": "ok"}
    assert stack.get("/notes").json() == []
    assert "ERROR" not in stack.container("db").logs().decode()


@pytest.mark.parametrize("service", ["db", "migrate"])
def test_privileges(stack: Stack, service: str):
    """The same as those of the other containers."""
    attributes = stack.container(service).attrs
    host = attributes["HostConfig"]
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert attributes["Config"]["User"].split(":")[0].isdigit()
    assert host["PidsLimit"] and host["Memory"]


def test_the_application_is_no_superuser(stack: Stack):
    """Nor can anybody log in as the superuser over the network."""
    assert query(stack, "SELECT rolsuper FROM pg_roles WHERE rolname = 'app'") == "f"
    assert query(stack, "SELECT count(*) FROM pg_authid WHERE rolpassword IS NOT NULL") == "1"


def test_read_and_write(stack: Stack):
    name = uuid4().hex
    assert stack.get(f"/trial/write/{name}").text == name
    assert stack.get(f"/trial/count/{name}").text == "1"


def test_an_exception_rolls_back(stack: Stack):
    """Also for the next request on the same connection."""
    names = [uuid4().hex for _ in range(20)]
    for name in names:
        assert stack.get(f"/trial/fail/{name}").status_code == 500
    assert {stack.get(f"/trial/count/{name}").text for name in names} == {"0"}
    assert query(stack, f"SELECT count(*) {APPLICATION} AND state LIKE 'idle in%'") == "0"


def test_many_requests_share_the_connections(stack: Stack, pair: Pair, record_property):
    """200 requests at once are served within the pool, each with its own response."""
    with counting(stack) as counted:
        outcomes = ask_at_once(urls(stack, "wait/0.05", 200))
    assert {outcome.status for outcome in outcomes} == {200}
    assert all(outcome.text == outcome.name for outcome in outcomes)
    assert 1 < max(counted) <= most_connections(pair.server)
    record_property("most connections", max(counted))


def test_a_statement_that_takes_too_long(stack: Stack):
    """It is cancelled in the database too, and the connection can be used again."""
    (url,) = urls(stack, "wait/60.0", 1)
    outcome = ask(url)
    assert outcome.status == 503
    assert outcome.seconds < SETTINGS["REQUEST_TIMEOUT"]
    assert query(stack, f"SELECT count(*) {APPLICATION} AND state = 'active'") == "0"
    assert stack.get("/notes").status_code == 200
    stack.wait_for_log("app", "canceling statement due to statement timeout")


def test_migrations_under_load(stack: Stack, tmp_path: Path, record_property):
    """A column is added and removed again, and no request fails: reads and writes."""
    file = tmp_path / "0002_title.py"
    file.write_text(EXPAND, encoding="utf-8")
    mount = f"--volume {file}:/app/src/{PACKAGE}/migrations/versions/{file.name}:ro"
    paths = [f"{stack.url}/trial/write/", f"{stack.url}/trial/count/"]
    with load(paths[0], clients=4) as writing, load(paths[1], clients=2) as reading:
        for command in ("upgrade", "downgrade 0001"):
            before = writing.count(200), reading.count(200)
            stack.compose(f"run --rm --no-deps -T {mount} migrate flask db {command}")
            wait_until(lambda: writing.count(200) > before[0] + 20, timeout=10)  # noqa: B023
            wait_until(lambda: reading.count(200) > before[1] + 20, timeout=10)  # noqa: B023
    outcomes = writing.outcomes + reading.outcomes
    assert {outcome.status for outcome in outcomes} == {200}
    record_property("requests during migrations", len(outcomes))


@pytest.mark.pairs(GREENLETS)
def test_greenlets_wait_together(stack: Stack):
    """20 requests wait for the database at once, and others are served in the meantime.

    A process that blocks while it waits would need ten seconds for its half of the requests.
    """
    began = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask_at_once, urls(stack, "wait/1.0", 20))
        others = []
        while not waiting.done():
            others.append(ask(*urls(stack, "echo", 1)))
    assert {outcome.status for outcome in waiting.result()} == {200}
    assert time.monotonic() - began < 5
    assert len(others) > 10
    assert {outcome.status for outcome in others} == {200}
    assert max(outcome.seconds for outcome in others) < 0.9


@pytest.mark.pairs(THREADS)
def test_a_forked_process_has_its_own_connections(stack: Stack):
    for _ in range(8):
        processes = stack.get("/trial/fork").json()
        assert processes["inside"] != processes["before"]
        assert processes["after"] == processes["before"]


def served(outcomes: list[Outcome], moment: float) -> list[Outcome]:
    """Return the successful ones of the requests that began after a moment."""
    return [each for each in outcomes if each.status == 200 and each.began > moment]


@pytest.mark.destructive
def test_restart_of_the_database(restored: Stack, record_property):
    """Only 503, no wrong response, everything that was confirmed is stored, back within 5 s."""
    with load(f"{restored.url}/trial/write/", clients=8) as running:
        wait_until(lambda: running.count(200) > 100, timeout=20)
        restored.container("db").restart(timeout=30)
        accepts = wait_for_server(restored)
        # Those that begin within five seconds may fail.
        wait_until(lambda: len(served(running.outcomes, accepts + 5)) > 20, timeout=30)
    outcomes = running.outcomes
    assert {outcome.status for outcome in outcomes} <= {200, 503}
    written = {outcome.name for outcome in outcomes if outcome.status == 200}
    assert all(outcome.text == outcome.name for outcome in outcomes if outcome.status == 200)
    assert written <= set(query(restored, "SELECT text FROM note").splitlines())
    late = [outcome.began - accepts for outcome in outcomes if outcome.status != 200]
    assert max(late, default=0) < 5
    record_property("503 during the restart", running.count(503))
    record_property("seconds until the last 503", round(max(late, default=0), 1))


@pytest.mark.destructive
def test_without_the_database(restored: Stack):
    """Readiness tells it at once, and what needs no database still works."""
    restored.compose("stop db")
    began = time.monotonic()
    assert restored.get("/health/ready").status_code == 503
    assert time.monotonic() - began < 5
    assert restored.get("/notes").status_code == 503
    for path in ("/health/live", "/", "/trial/echo/x"):
        assert restored.get(path).status_code == 200
    restored.compose("start db")
    wait_for_server(restored)
    wait_until(lambda: restored.get("/health/ready").status_code == 200, timeout=5)
    assert restored.get("/notes").status_code == 200


@pytest.mark.destructive
def test_without_a_connection_left(restored: Stack):
    """Other clients have all connections: 503, and the superuser can still connect."""
    restored.compose("restart app")  # so that it has none
    restored.wait_for_upstream()
    restored.container("app").exec_run(["python", "-c", OCCUPY], detach=True)
    wait_until(lambda: connections(restored) == 97, timeout=20)
    outcomes = ask_at_once(urls(restored, "write", 20))
    assert {outcome.status for outcome in outcomes} == {503}
    query(restored, f"SELECT pg_terminate_backend(pid) {APPLICATION}")
    wait_until(lambda: restored.get("/notes").status_code == 200, timeout=5)


@pytest.mark.destructive
def test_a_killed_process_rolls_back(restored: Stack):
    """Its transaction leaves neither a row nor a lock."""
    name = uuid4().hex
    assert ask(f"{restored.url}/trial/die/{name}").status in (500, 502, 503, None)
    wait_until(lambda: ask(f"{restored.url}/trial/count/{name}").text == "0", timeout=30)
    held = f"SELECT count(*) {APPLICATION} AND xact_start < now() - interval '1 second'"
    assert query(restored, held) == "0"
    assert restored.get(f"/trial/write/{name}").text == name


@pytest.mark.destructive
def test_stop_with_a_transaction(restored: Stack):
    """A transaction in progress is completed, and no connection stays open."""
    name = uuid4().hex
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(ask, f"{restored.url}/trial/hold/3.0/{name}")
        restored.wait_for_log("app", f"trial: holds {name}")
        restored.compose("stop app")
        outcome = holding.result()
    assert (outcome.status, outcome.text) == (200, name)
    assert restored.container("app").attrs["State"]["ExitCode"] == 0
    assert name in query(restored, "SELECT text FROM note").splitlines()
    wait_until(lambda: connections(restored) == 0, timeout=5)


@pytest.mark.destructive
def test_stop_of_everything(restored: Stack):
    """The database stops last and writes everything; the next start needs no recovery."""
    restored.compose("stop")
    for service in ("proxy", "app", "db"):
        assert restored.container(service).attrs["State"]["ExitCode"] == 0, service
    restored.start()
    log = restored.container("db").logs(tail=30).decode()
    assert "automatic recovery" not in log and "not properly shut down" not in log


@pytest.mark.destructive
def test_releases_with_a_migration(restored: Stack, project: Path, record_property):
    """Expand, the release that needs it, back to the former code, contract: no request fails."""
    package = project / "src" / PACKAGE
    notes = package / "notes.py"
    former = notes.read_text(encoding="utf-8")
    version = query(restored, "SELECT version_num FROM alembic_version")
    (package / "migrations" / "versions" / "rank.py").write_text(RANK.format(version))
    paths = [f"{restored.url}/trial/write/", f"{restored.url}/trial/count/"]
    with (
        load(paths[0], clients=1, most=100_000) as writing,
        load(paths[1], clients=1, keep=True, most=100_000) as reading,
    ):
        column = "    text: Mapped[str]\n"
        assert column in former
        notes.write_text(former.replace(column, column + RANK_IN_MODEL), encoding="utf-8")
        run_readme(project, "bash release.sh")
        assert query(restored, "SELECT version_num FROM alembic_version") == "rank"
        notes.write_text(former, encoding="utf-8")
        run_readme(project, "bash release.sh")
        restored.compose(f"run --rm --no-deps -T migrate flask db downgrade {version}")
        before = writing.count(200), reading.count(200)
        wait_until(lambda: writing.count(200) > before[0] + 20, timeout=10)
        wait_until(lambda: reading.count(200) > before[1] + 20, timeout=10)
    outcomes = writing.outcomes + reading.outcomes
    assert {outcome.status for outcome in outcomes} == {200}
    record_property("requests during two releases", len(outcomes))
