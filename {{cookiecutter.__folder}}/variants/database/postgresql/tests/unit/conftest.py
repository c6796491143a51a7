"""Fixtures for the unit tests: the application without a server or a proxy, with a database."""

import importlib
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import flask_migrate
import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="session")
def package() -> ModuleType:
    """The application's package: others may lie beside it in src/."""
    (about,) = SOURCE.glob("*/about.toml")
    return importlib.import_module(about.parent.name)


@contextmanager
def running_server() -> Iterator[str]:
    """Run a database server in a container, without writing to the disk; yield its URL."""
    compose = SOURCE.with_name("compose.yaml").read_text(encoding="utf-8")
    (image,) = re.findall(r"{POSTGRES_IMAGE:-(.+)}", compose)
    data = "/var/lib/postgresql/data"
    command = f"docker run --detach --rm --publish 127.0.0.1::5432 --tmpfs {data}"
    command += f" --env PGDATA={data} --env POSTGRES_HOST_AUTH_METHOD=trust {image}"
    try:
        container = subprocess.check_output(command.split(), text=True).strip()  # noqa: S603
    except FileNotFoundError:
        pytest.exit("The tests need a database: install Docker, or set DATABASE_URL.", 1)
    try:
        port = ["docker", "port", container, "5432/tcp"]
        address = subprocess.check_output(port, text=True).strip()  # noqa: S603
        yield f"postgresql://postgres@{address}/postgres"
    finally:
        subprocess.run(["docker", "rm", "--force", container], check=True)  # noqa: S603


def connect(conninfo: str) -> psycopg.Connection:
    """Connect to a server; for half a minute, if it is still starting."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return psycopg.connect(conninfo, autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.fixture(scope="session", autouse=True)
def database(package: ModuleType) -> Iterator[ModuleType]:
    """The module, with DATABASE_URL set to a new database that has the tables of all migrations.

    It is created in the server that DATABASE_URL names, or in a server of its own.
    """
    module = importlib.import_module(f"{package.__name__}.database")
    name = f"test_{uuid4().hex}"
    with ExitStack() as cleanup, pytest.MonkeyPatch.context() as environ:
        if not os.environ.get("DATABASE_URL"):
            environ.setenv("DATABASE_URL", cleanup.enter_context(running_server()))
        server = module.database_url()
        connection = cleanup.enter_context(connect(module.conninfo(server)))
        connection.execute(f"CREATE DATABASE {name}")
        own = server.set(database=name)
        environ.setenv("DATABASE_URL", own.render_as_string(hide_password=False))
        with package.create_app({"SECRET_KEY": "test"}).app_context():
            flask_migrate.upgrade()
        yield module
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def make_app(package: ModuleType, database: ModuleType) -> Iterator[Callable[..., Flask]]:
    """Build the application from the given settings; close its connections after the test."""
    apps = []

    def make(**settings: str) -> Flask:
        apps.append(package.create_app({"SECRET_KEY": "test"} | settings))
        return apps[-1]

    yield make
    for app in apps:
        with app.app_context():
            database.db.engine.dispose()


@pytest.fixture
def app(make_app: Callable[..., Flask], database: ModuleType) -> Iterator[Flask]:
    """An application whose changes to the database are undone after the test."""
    app = make_app()
    with app.app_context():
        engines = database.db.engines
    engine = engines[None]
    with engine.connect() as connection:
        # All sessions use this connection. The application's commits and rollbacks concern only
        # savepoints in the outer transaction, which ends with the connection.
        connection.begin()
        connection.begin_nested()
        engines[None] = connection
        yield app
        engines[None] = engine


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of the application with its default settings."""
    return app.test_client()
