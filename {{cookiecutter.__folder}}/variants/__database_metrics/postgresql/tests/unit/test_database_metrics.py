import re

import psycopg
from sqlalchemy import event, text


def reported(client, name):
    """Return the value of a metric without labels."""
    return float(re.search(rf"(?m)^{name} (.+)", client.get("/metrics").text)[1])


def test_connections_in_use_are_counted(make_app, database, monkeypatch):
    monkeypatch.setenv("DATABASE_POOL_SIZE", "3")
    app = make_app()
    client = app.test_client()

    @app.get("/during")
    def during():
        database.db.session.execute(text("SELECT 1"))
        return {"count": reported(client, "database_connections_in_use")}

    assert reported(client, "database_connections_limit") == 3
    assert reported(client, "database_connections_in_use") == 0
    assert client.get("/during").json == {"count": 1}
    assert reported(client, "database_connections_in_use") == 0
    with app.app_context():
        # Connections that do not return to the pool.
        with database.db.engine.connect() as connection:
            connection.invalidate()
        with database.db.engine.connect() as connection:
            connection.detach()
    assert reported(client, "database_connections_in_use") == 0


def test_a_connection_that_cannot_be_replaced_is_not_counted(make_app, database):
    app = make_app()
    client = app.test_client()
    assert client.get("/notes").status_code == 200

    def refuse(*_):
        raise psycopg.OperationalError

    with app.app_context():
        event.listen(database.db.engine, "do_connect", refuse)
        with database.db.engine.connect() as connection:
            connection.connection.driver_connection.close()
    assert client.get("/notes").status_code == 503
    assert reported(client, "database_connections_in_use") == 0
