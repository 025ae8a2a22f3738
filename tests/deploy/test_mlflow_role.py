"""MLflow's role: it owns MLflow's database, old or new, and reaches no other."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.deploy.compose import ROOT
from tests.support.databases import PROGRAMS, PostgresServer

SCRIPT = ROOT / "deploy" / "create-mlflow-database.sql"
PASSWORD = 'it\'s a "secret" \\ of tests'
ACCESS = "host all postgres all trust\nhost all all all scram-sha-256\n"
"""The superuser needs no password here; every other role does, as in the image."""

PREPARE = "import sys; from chainrule.stack import mlflow_database as m; m.prepare(sys.argv[1])"
"""Creates MLflow's tables as its server does."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server with Chainrule's database, on which the script has not run."""
    started = PostgresServer()
    (started.data / "pg_hba.conf").write_text(ACCESS)
    started.execute("SELECT pg_reload_conf()")
    started.execute("CREATE DATABASE chainrule")
    yield started
    started.remove()


@pytest.fixture
def fresh(server: PostgresServer) -> Iterator[PostgresServer]:
    """The server without role and database of MLflow."""
    yield server
    server.execute("DROP DATABASE IF EXISTS mlflow WITH (FORCE)")
    server.execute("DROP ROLE IF EXISTS mlflow")


def run(
    server: PostgresServer, password: str | None = PASSWORD
) -> "subprocess.CompletedProcess[str]":
    """Run the script as the image does."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "MLFLOW_"))}
    if password is not None:
        environment["MLFLOW_POSTGRES_PASSWORD"] = password
    words = [PROGRAMS / "psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--file={SCRIPT}"]
    words += ["--host=127.0.0.1", f"--port={server.port}", "--username=postgres"]
    return subprocess.run(
        [*map(str, words), "--dbname=chainrule"], env=environment, capture_output=True, text=True
    )


def connect(
    server: PostgresServer, database: str = "mlflow", password: str = PASSWORD
) -> "psycopg.Connection[Any]":
    """A connection of MLflow's role."""
    return psycopg.connect(
        host="127.0.0.1",
        port=server.port,
        user="mlflow",
        password=password,
        dbname=database,
        autocommit=True,
    )


def test_role_creates_tables_in_its_own_database_only(fresh: PostgresServer) -> None:
    ran = run(fresh)
    assert ran.returncode == 0, ran.stderr
    with connect(fresh) as connection:
        connection.execute("CREATE TABLE runs (id serial PRIMARY KEY)")
        connection.execute("INSERT INTO runs DEFAULT VALUES")
        for statement in ("CREATE DATABASE other", "CREATE ROLE other"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
    for database in ("chainrule", "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            connect(fresh, database)


def test_another_run_replaces_the_password(fresh: PostgresServer) -> None:
    assert run(fresh).returncode == 0
    assert run(fresh, "another").returncode == 0
    connect(fresh, password="another").close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(fresh)


def test_nothing_is_created_without_a_password(fresh: PostgresServer) -> None:
    assert run(fresh, None).returncode != 0
    with pytest.raises(psycopg.OperationalError):
        connect(fresh)


def test_role_takes_over_what_the_superuser_created(fresh: PostgresServer) -> None:
    fresh.execute("CREATE DATABASE mlflow")
    for statement in (
        "CREATE TABLE runs (id serial PRIMARY KEY, number int GENERATED ALWAYS AS IDENTITY)",
        "CREATE VIEW newest AS SELECT max(id) FROM runs",
        "CREATE SEQUENCE alone",
        "INSERT INTO runs DEFAULT VALUES",
    ):
        fresh.execute(statement, "mlflow")
    ran = run(fresh)
    assert ran.returncode == 0, ran.stderr
    with connect(fresh) as connection:
        connection.execute("INSERT INTO runs DEFAULT VALUES")
        connection.execute("ALTER TABLE runs ADD COLUMN name text")
        assert connection.execute("SELECT * FROM newest").fetchall() == [(2,)]
        connection.execute("DROP SEQUENCE alone")
        others = connection.execute(
            "SELECT relname FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relowner <> 'mlflow'::regrole"
        )
        assert others.fetchall() == []


@pytest.mark.e2e
def test_mlflow_creates_its_tables_as_the_role(fresh: PostgresServer) -> None:
    assert run(fresh, "letters").returncode == 0
    url = f"postgresql+psycopg://mlflow:letters@127.0.0.1:{fresh.port}/mlflow"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PREPARE, url],
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        check=True,
    )
    with connect(fresh, password="letters") as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchall() == [(0,)]
