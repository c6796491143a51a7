import flask_migrate
import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import ProgrammingError


@pytest.fixture
def options(make_app, monkeypatch):
    """Return the options of the connections with these variables in the environment."""

    def get_options(**environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        return make_app().config["SQLALCHEMY_ENGINE_OPTIONS"]

    return get_options


def test_each_thread_can_have_a_connection(make_app, options):
    expected = 10 if make_app().config["GREENLETS"] else 7
    assert options(WEB_THREADS="7")["pool_size"] == expected
    assert options(WEB_THREADS="7", DATABASE_POOL_SIZE="3")["pool_size"] == 3


@pytest.mark.parametrize("seconds", [12, 30, 300])
def test_waiting_ends_before_the_proxy_times_out(options, seconds):
    found = options(REQUEST_TIMEOUT=str(seconds))
    connecting = found["connect_args"]["connect_timeout"]
    statement = int(found["connect_args"]["options"].split("=")[1].split()[0]) / 1000
    assert found["pool_timeout"] + connecting + statement < seconds


def test_the_password_comes_from_a_file(database, monkeypatch, tmp_path):
    file = tmp_path / "password"
    file.write_text("from the file\n")
    monkeypatch.setenv("DATABASE_PASSWORD_FILE", str(file))
    monkeypatch.setenv("DATABASE_URL", "postgres://app@db/app")
    assert database.database_url().password == "from the file"
    assert "password='from the file'" in database.conninfo(database.database_url())
    monkeypatch.setenv("DATABASE_URL", "postgres://app:own@db/app")
    assert database.database_url().password == "own"


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL must be like"),
        ({"DATABASE_URL": "postgresql://app:secret@db:port/app"}, "DATABASE_URL must be like"),
        ({"DATABASE_URL": "mysql://app:secret@db/app"}, "DATABASE_URL must be like"),
        (
            {"DATABASE_URL": "postgresql://db/app", "DATABASE_PASSWORD_FILE": "/nowhere"},
            "DATABASE_PASSWORD_FILE names /nowhere",
        ),
        ({"DATABASE_POOL_SIZE": "many"}, "DATABASE_POOL_SIZE must be a whole number"),
    ],
)
def test_bad_settings_stop_the_start(make_app, monkeypatch, environ, told):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RuntimeError, match=told) as raised:
        make_app()
    assert "secret" not in str(raised.value)


def test_too_many_connections_stop_the_migration(make_app, monkeypatch, capsys):
    monkeypatch.setenv("APP_REPLICAS", "100")
    with make_app().app_context(), pytest.raises(SystemExit):
        flask_migrate.upgrade()
    assert "100 replicas" in capsys.readouterr().out


def test_migrations_make_the_models_tables(make_app):
    """If this fails, a model was changed without a migration: see docs/database.md."""
    with make_app().app_context():
        flask_migrate.check()


def test_migrations_can_be_undone(make_app):
    with make_app().app_context():
        flask_migrate.downgrade(revision="base")
        flask_migrate.upgrade()


def test_an_exception_undoes_the_changes(make_app, database):
    app = make_app()

    @app.get("/fail")
    def fail():
        database.db.session.execute(text("CREATE TABLE half_done (id int)"))
        raise ValueError

    assert app.test_client().get("/fail").status_code == 500
    with app.app_context():
        assert database.db.session.scalar(text("SELECT to_regclass('half_done')")) is None


def test_an_exception_does_not_contain_the_values(make_app, database):
    statement = text("SELECT :value FROM nothing")
    with make_app().app_context(), pytest.raises(ProgrammingError, match="SELECT") as raised:
        database.db.session.execute(statement, {"value": "private"})
    assert "private" not in str(raised.value)


# --- Unavailable ---


def add_wait(app, database, seconds):
    """Add a view that waits in the database."""

    @app.get("/wait")
    def wait():
        database.db.session.execute(select(func.pg_sleep(seconds)))
        return "waited"

    return app.test_client()


@pytest.mark.parametrize(
    ("path", "status"), [("/health/live", 200), ("/health/ready", 503), ("/wait", 503)]
)
def test_without_a_database_only_what_needs_it_fails(
    make_app, database, monkeypatch, capsys, path, status
):
    # Nothing listens on this port.
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@127.0.0.1:1/app")
    response = add_wait(make_app(), database, 0).get(path)
    assert response.status_code == status
    assert ("The database is unavailable" in capsys.readouterr().out) == (status == 503)


def test_a_statement_that_takes_too_long_ends_with_503(make_app, database, monkeypatch, capsys):
    monkeypatch.setenv("REQUEST_TIMEOUT", "1")
    response = add_wait(make_app(), database, 5).get("/wait")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert "<h1>Service Unavailable</h1>" in response.text
    assert "pg_sleep" not in capsys.readouterr().out


def test_a_request_without_a_free_connection_ends_with_503(make_app, database, monkeypatch):
    monkeypatch.setenv("REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("DATABASE_POOL_SIZE", "1")
    app = make_app()
    client = add_wait(app, database, 0)
    with app.app_context(), database.db.engine.connect():
        assert client.get("/wait").status_code == 503
        assert client.get("/health/ready").status_code == 200
    assert client.get("/wait").text == "waited"


def test_a_connection_that_was_closed_is_replaced(make_app, database):
    app = make_app()
    client = add_wait(app, database, 0)
    assert client.get("/wait").text == "waited"
    with psycopg.connect(database.conninfo(database.database_url())) as other:
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        other.execute(f"{end} AND datname = current_database()")
    assert client.get("/wait").text == "waited"
