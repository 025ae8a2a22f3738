"""The history of the schema: up, down, up again; equal to the tables; safe when several start."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, inspect, text

from core import sweeps
from core.db.engine import make_engine
from core.db.tables import Base
from core.errors import UnavailableError
from migrations import runner
from tests.support import sweep_cases
from tests.support.job_cases import do

MODELS = {"models", "model_versions", "model_aliases", "model_alias_changes", "evaluations"}
NOTICES = {"webhooks", "webhook_deliveries"}
TABLES = set(Base.metadata.tables) | {"alembic_version"}


def names(url: str) -> set[str]:
    engine = make_engine(url)
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_up_down_up(empty_url: str) -> None:
    runner.upgrade(empty_url)
    assert names(empty_url) == TABLES
    runner.downgrade(empty_url, "base")
    assert names(empty_url) == {"alembic_version"}
    runner.upgrade(empty_url)
    assert names(empty_url) == TABLES


def test_one_revision_at_a_time(empty_url: str) -> None:
    runner.upgrade(empty_url, "0001")
    runner.upgrade(empty_url)
    runner.downgrade(empty_url, "0001")
    assert (
        names(empty_url)
        == TABLES
        - {"sweeps", "trials", "folds", "log_lines", "sources", "deleted_runs"}
        - MODELS
        - NOTICES
    )
    runner.upgrade(empty_url)


def test_nothing_is_left_on_postgresql(empty_url: str) -> None:
    runner.upgrade(empty_url)
    runner.downgrade(empty_url, "base")
    engine = make_engine(empty_url)
    query = (
        "SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace"
        " WHERE nspname = 'public'"
        if engine.dialect.name == "postgresql"
        else "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    )
    with engine.connect() as connection:
        assert connection.execute(text(query)).all() == []
    engine.dispose()


def test_schema_equals_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def constraints(engine: Engine) -> set[tuple[str, str]]:
    query = (
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace"
        " AND conrelid::regclass::text <> 'alembic_version'"
        " UNION SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        " AND tablename <> 'alembic_version'"
    )
    with engine.connect() as connection:
        return {(name, definition) for name, definition in connection.execute(text(query))}


def test_constraints_equal_tables_on_postgresql(postgres_url: str, empty_postgres_url: str) -> None:
    migrated, made = make_engine(postgres_url), make_engine(empty_postgres_url)
    Base.metadata.create_all(made)
    assert constraints(migrated) == constraints(made)
    migrated.dispose()
    made.dispose()


def test_constraints_equal_tables_on_sqlite(sqlite_url: str) -> None:
    made = create_engine("sqlite://")
    Base.metadata.create_all(made)
    migrated = make_engine(sqlite_url)
    for table in Base.metadata.tables:
        seen = [inspect(engine) for engine in (migrated, made)]
        checks = [
            {(c["name"], c["sqltext"]) for c in one.get_check_constraints(table)} for one in seen
        ]
        foreign = [{c["name"] for c in one.get_foreign_keys(table)} for one in seen]
        unique = [{c["name"] for c in one.get_unique_constraints(table)} for one in seen]
        assert checks[0] == checks[1]
        assert foreign[0] == foreign[1]
        assert unique[0] == unique[1]
    migrated.dispose()
    made.dispose()


def test_several_start_at_once(empty_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(command, empty_url) for _ in range(4)]:
            result = done.result()
            assert result.returncode == 0, result.stderr
    assert names(empty_url) == TABLES


def test_foreign_keys_hold_after_migrating(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    engine.dispose()


def test_broken_references_are_refused(sqlite_url: str) -> None:
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute(
            "INSERT INTO dataset_versions (dataset_id, version, digest, rows, bytes, schema,"
            " format, created_at) VALUES (77, 1, 'd', 1, 1, '{}', 'csv', 0)"
        )
    connection.close()
    with pytest.raises(RuntimeError, match="references"):
        runner.downgrade(sqlite_url, "0001")


def test_a_database_that_is_away_is_waited_for_a_while() -> None:
    with pytest.raises(UnavailableError, match="does not answer"):
        runner.upgrade("postgresql+psycopg://nobody@127.0.0.1:9/none", wait_seconds=0.5)


def test_the_command_says_in_one_line_what_is_wrong() -> None:
    result = command("postgresql+psycopg://nobody@127.0.0.1:9/none", "--wait", "0")
    assert result.returncode == 1
    assert result.stderr.startswith("migrations: the database does not answer")
    assert len(result.stderr.splitlines()) == 1


def test_a_newer_schema_is_named_in_one_line(empty_url: str) -> None:
    runner.upgrade(empty_url, "0001")
    engine = make_engine(empty_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for arguments in ([], ["check"], ["downgrade", "-1"]):
        result = command(empty_url, *arguments)
        assert result.returncode == 1
        (line,) = result.stderr.splitlines()
        assert line.startswith("migrations: the database has revision 9999, which this release")
    with engine.connect() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).all()
    assert found == [("9999",)]
    engine.dispose()


def command(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "migrations", *arguments],
        env={"CHAINRULE_DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_trials_get_ordinals_in_the_order_in_which_they_ended(database_url: str) -> None:
    engine = make_engine(database_url)
    sweep_id = sweep_cases.started(engine, n_trials=3, max_parallel=3)
    sweeps.advance(engine, sweep_id)
    job_ids = [job.id for _, job in sweep_cases.table(engine, sweep_id)]
    for number in (2, 0):
        sweep_cases.finish(engine, sweep_id, only=[job_ids[number]], value=0.5)
        sweeps.advance(engine, sweep_id)
    engine.dispose()
    runner.downgrade(database_url, "0033")
    runner.upgrade(database_url)
    engine = make_engine(database_url)
    ordinals = [trial.ordinal for trial, _ in sweep_cases.table(engine, sweep_id)]
    outcomes = do(engine, sweeps.get, sweep_id).outcomes
    engine.dispose()
    assert ordinals == [2, None, 1]
    assert outcomes == 2
