"""Migrations, mistakes and backups: most do not depend on the server, and run on one pair only."""

import json
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from uuid import uuid4

import pytest
from docker.errors import APIError

from tests.lib.load import load
from tests.lib.readme import run_readme
from tests.lib.stack import Stack, run, run_stack, wait_until
from tests.lib.template import DATABASES, EACH_SERVER, FACTS, Pair

from .conftest import PACKAGE
from .server import query, wait_for_server

pytestmark = [pytest.mark.pairs(EACH_SERVER[:1]), pytest.mark.destructive]

MIGRATE = "run --rm --no-deps -T migrate"
# An owner's new module: a model and a view.
LABELS = '''"""Labels of notes."""

from flask import Blueprint, Flask
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from .database import Model, db

blueprint = Blueprint("labels", __name__)


class Label(Model):
    """A word."""

    __tablename__ = "label"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


@blueprint.get("/labels")
def labels() -> list[str]:
    """Return all labels."""
    return list(db.session.scalars(select(Label.name)))


def init_app(app: Flask) -> None:
    """Add the view."""
    app.register_blueprint(blueprint)
'''
# A volume in memory, which lasts as long as a container uses it: also while the database restarts.
SMALL_VOLUME = f"""
services:
  keeper:
    image: {FACTS["_databases"][DATABASES[0]]["image"]}
    user: "999:999"
    command: [sleep, infinity]
    init: true
    volumes: ["database:/kept"]
volumes:
  database:
    driver_opts: {{type: tmpfs, device: tmpfs, o: "size=112m,uid=999,mode=0700"}}
"""


def migrate(stack: Stack, *, environ: str = "") -> list[dict[str, str]]:
    """Run migrations, which must fail; return what the log says above INFO."""
    name, _, value = environ.partition("=")
    option = f"--env {name}={value} " if environ else ""
    with pytest.raises(Exception, match="returned 1") as failed:
        stack.compose(MIGRATE.replace(" migrate", f" {option}migrate"))
    text = str(failed.value)
    assert "Traceback" not in text
    lines = [json.loads(line) for line in re.findall(r"\{.*\}", text)]
    return [line for line in lines if line["level"] not in ("DEBUG", "INFO")]


def test_several_migrate_at_once(restored: Stack):
    """Replicas and releases that start together do not race: one migrates, the others wait."""
    restored.compose(f"{MIGRATE} flask db downgrade base")
    assert query(restored, "SELECT to_regclass('note') IS NULL") == "t"
    assert restored.get("/notes").status_code == 500
    restored.wait_for_log("app", 'relation \\"note\\" does not exist')
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(restored.compose, [MIGRATE] * 4))
    assert sum("Running upgrade" in output for output in outputs) == 1
    assert query(restored, "SELECT version_num FROM alembic_version") == "0001"


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ("DATABASE_URL=postgresql://app:wrong@db/app", "password authentication failed"),
        ("DATABASE_URL=postgresql://app@nowhere.invalid/app", "nowhere.invalid"),
        ("DATABASE_URL=postgresql://app@db:1/app", "refused"),
        ("DATABASE_POOL_SIZE=1000", "than the 97 that the database allows"),
        ("APP_REPLICAS=40", "40 replicas with"),
    ],
)
def test_a_mistake_is_one_clear_line(stack: Stack, environ: str, told: str):
    (line,) = migrate(stack, environ=environ)
    assert line["level"] == "ERROR" and told in line["message"]


def test_a_database_of_a_later_release_is_not_changed(stack: Stack):
    query(stack, "UPDATE alembic_version SET version_num = '9999'")
    try:
        (line,) = migrate(stack)
        assert "Can't locate revision" in line["message"] and "9999" in line["message"]
    finally:
        query(stack, "UPDATE alembic_version SET version_num = '0001'")


def test_files_of_another_major_version(restored: Stack):
    """The server says it in one line, and leaves the files alone."""
    restored.compose("stop db")
    edit = "run --rm --no-deps -T --entrypoint bash db -c 'echo {} > $PGDATA/PG_VERSION'"
    restored.compose(edit.format(13))
    try:
        with pytest.raises(Exception, match=r"unhealthy|exited"):
            restored.compose("up --wait --no-build db")
        restored.wait_for_log("db", "database files are incompatible with server")
    finally:
        restored.compose("stop db")
        image = restored.container("db").attrs["Config"]["Image"]
        restored.compose(edit.format(re.search(r":(\d+)", image)[1]))


def test_a_migration_does_not_wait_long_for_a_lock(stack: Stack):
    """Requests would wait behind it. It fails in one line, and can be run again."""
    lock = "BEGIN; LOCK TABLE alembic_version; SELECT pg_sleep(60)"
    command = ["psql", "--username=postgres", "--dbname=app", f"--command={lock}"]
    stack.container("db").exec_run(command, detach=True)
    locks = "SELECT mode FROM pg_locks WHERE granted"
    wait_until(lambda: "AccessExclusiveLock" in query(stack, locks), timeout=5)
    (line,) = migrate(stack)
    assert "lock timeout" in line["message"]
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN;%'"
    query(stack, end)
    run_readme(stack.folder, "docker compose run --rm migrate")


def test_change_of_the_schema(restored: Stack, project: Path, record_property):
    """A column, and a new model with its view, as the page says; requests do not fail.

    The page's command writes the migration, and its owner can edit it.
    """
    began = time.monotonic()
    versions = project / "src" / PACKAGE / "migrations" / "versions"
    before = set(versions.iterdir())
    notes = project / "src" / PACKAGE / "notes.py"
    text = notes.read_text(encoding="utf-8")
    column = "    title: Mapped[str | None]\n"
    notes.write_text(text.replace("    text: Mapped[str]\n", f"    text: Mapped[str]\n{column}"))
    (project / "src" / PACKAGE / "labels.py").write_text(LABELS)
    about = project / "src" / PACKAGE / "about.toml"
    text = about.read_text(encoding="utf-8")
    about.write_text(text.replace('"notes", ', '"notes", "labels", '), encoding="utf-8")
    run_readme(project, "docker compose -f compose.yaml -f compose.dev.yaml up")
    run_readme(project, "docker compose exec --user")
    (added,) = set(versions.iterdir()) - before
    assert added.stat().st_uid == os.getuid()
    assert re.fullmatch(r"\d{4}_\d\d_\d\d_add_a_title\.py", added.name)
    migration = added.read_text().replace("'", '"')
    assert 'op.add_column("note"' in migration and 'op.create_table("label"' in migration
    # Expand: the running release ignores the new column.
    restored.start()
    restored.compose("build app")
    with load(f"{restored.url}/trial/write/", clients=4) as running:
        wait_until(lambda: running.count(200) > 20, timeout=10)
        restored.compose(MIGRATE)
        after = running.count(200)
        wait_until(lambda: running.count(200) > after + 50, timeout=10)
    assert {outcome.status for outcome in running.outcomes} == {200}
    record_property("requests during a migration", len(running.outcomes))
    columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'note'"
    assert "title" in query(restored, columns).splitlines()
    run_readme(project, "docker compose up --build --wait")
    restored.wait_for_upstream()
    assert restored.get("/notes").status_code == 200
    assert restored.get("/labels").json() == []
    record_property("lines for a new model and its view", LABELS.count("\n"))
    record_property("seconds until they are released", round(time.monotonic() - began))


@pytest.mark.pairs(EACH_SERVER)
def test_back_up_and_restore_into_a_new_stack(restored: Stack, project: Path):
    """The page's commands: what was written is there again, and can be written to."""
    run_readme(project, "docker compose exec app flask notes add")
    name = uuid4().hex
    assert restored.get(f"/trial/write/{name}").text == name
    run_readme(project, "bash database/backup.sh")
    assert (project / "backups" / "latest.dump").stat().st_size > 0
    run_readme(project, "docker compose down --volumes")
    restored.start()
    assert restored.get(f"/trial/count/{name}").text == "0"
    run_readme(project, "bash database/restore.sh")
    restored.start()
    assert restored.get(f"/trial/count/{name}").text == "1"
    assert "Hello" in [note["text"] for note in restored.get("/notes").json()]
    # A second time, over the database that the first one has replaced.
    run_readme(project, "bash database/restore.sh")
    restored.start()
    assert restored.get(f"/trial/write/{name}").text == name


def test_a_broken_backup_is_not_restored(restored: Stack, project: Path):
    name = uuid4().hex
    assert restored.get(f"/trial/write/{name}").text == name
    run_readme(project, "bash database/backup.sh")
    file = project / "backups" / "latest.dump"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(AssertionError):
        run_readme(project, "bash database/restore.sh")
    assert restored.get(f"/trial/count/{name}").text == "1"


def test_logs_of_a_failed_start(restored: Stack, project: Path):
    """The page's command shows why the application did not start."""
    query(restored, "ALTER ROLE app PASSWORD 'another'")
    try:
        with pytest.raises(AssertionError):
            run(["docker", "compose", "up", "--wait", "--no-build"], cwd=project)
        said = run_readme(project, "docker compose logs db migrate")
        assert "password authentication failed" in said
    finally:
        password = (project / "secrets" / "database_password").read_text().strip()
        query(restored, f"ALTER ROLE app PASSWORD '{password}'")
        wait_for_server(restored)


@pytest.fixture(scope="module")
def small(
    engine: None, pair: Pair, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Another stack of the project, with a small volume."""
    overlay = tmp_path_factory.mktemp("small") / "overlay.yaml"
    overlay.write_text(SMALL_VOLUME, encoding="utf-8")
    with run_stack(pair, project, f"{project.name}-small", overlay) as stack:
        yield stack


@contextmanager
def full(stack: Stack) -> Iterator[None]:
    """Fill the volume while the block runs."""
    keeper = stack.container("keeper")
    filled = keeper.exec_run(["sh", "-c", "cat /dev/zero > /kept/fill"])
    assert b"No space left" in filled.output
    try:
        yield
    finally:
        assert keeper.exec_run(["rm", "/kept/fill"]).exit_code == 0


def write(stack: Stack) -> int:
    """Write a row; return the status of the response."""
    return stack.get(f"/trial/write/{uuid4().hex}").status_code


def test_full_disk(small: Stack):
    """Requests can read, and get 503 if they need space; with space, all is as before."""
    assert write(small) == 200
    rows = int(query(small, "SELECT count(*) FROM note"))
    with full(small):
        # A page of the table has space for about a hundred rows.
        statuses = (write(small) for _ in range(400))
        rows += len(list(takewhile(lambda status: status == 200, statuses)))
        assert {write(small) for _ in range(10)} == {503}
        small.wait_for_log("app", "No space left on device")
        for path in ("/notes", "/health/ready"):
            assert small.get(path).status_code == 200
        assert query(small, "SELECT count(*) FROM note") == str(rows)
    assert write(small) == 200
    assert query(small, "SELECT count(*) FROM note") == str(rows + 1)


def test_migration_on_a_full_disk(small: Stack):
    """It fails in one line and changes nothing; with space, it can be run again."""
    small.compose(f"{MIGRATE} flask db downgrade base")
    with full(small):
        (line,) = migrate(small)
        assert "No space left on device" in line["message"]
        assert query(small, "SELECT to_regclass('note') IS NULL") == "t"
        assert query(small, "SELECT count(*) FROM alembic_version") == "0"
    small.compose(MIGRATE)
    assert write(small) == 200


def test_a_full_disk_stops_the_database(small: Stack, record_property):
    """It stops when it cannot log a change, and starts by itself once there is space."""
    name = uuid4().hex
    assert small.get(f"/trial/write/{name}").text == name
    with full(small):
        fill = "SELECT pg_switch_wal(), pg_logical_emit_message(false, '', repeat('x', 100000))"
        with pytest.raises((AssertionError, APIError)):
            # Until the next file of the log would have to be created. The end of the container can
            # end the query too.
            for _ in range(5):
                query(small, fill)
        failed = b"shutting down due to startup process failure"
        wait_until(lambda: failed in small.container("db").logs(tail=200), timeout=30)
        for path, status in (("/notes", 503), ("/health/live", 200)):
            assert small.get(path).status_code == status
        # The application asks the database once a second.
        wait_until(lambda: small.get("/health/ready").status_code == 503, timeout=5)
        (line,) = migrate(small)
        assert line["level"] == "ERROR"
    began = time.monotonic()
    # Docker waits longer before each further start, at most a minute.
    wait_until(lambda: write(small) == 200, timeout=90, told=small.evidence)
    record_property("seconds until the first write", round(time.monotonic() - began, 1))
    assert small.get(f"/trial/count/{name}").text == "1"
