"""MLflow's tables are all there or none: their creator may be killed at any moment."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.databases import PostgresServer

pytestmark = pytest.mark.e2e

SCRIPT = Path(__file__).with_name("mlflow_kills.py")
MOMENTS = ("1", "9", "700", "1300", "remove", "replace", "replaced")
MANY = tuple(str(place) for place in range(5, 1660, 127))
KILLED, FAILED, DONE = -9, 1, 0


def made(way: str, places: Sequence[str], url: str) -> dict[str, list[int]]:
    """By place how somebody ended who made the tables and was killed there, and the next one."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), way, json.dumps(places), url],
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, list[int]] = json.loads(done.stdout.splitlines()[-1])
    return found


def in_files(folder: Path) -> str:
    return f"sqlite:///{folder}/{{}}.sqlite"


def test_a_kill_at_any_moment_does_no_harm(tmp_path: Path) -> None:
    found = made("ours", MOMENTS, in_files(tmp_path))
    assert found == {place: [KILLED, DONE] for place in MOMENTS}
    assert not list(tmp_path.glob("*.new*"))


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_a_kill_at_many_more_moments_does_no_harm(tmp_path: Path) -> None:
    assert made("ours", MANY, in_files(tmp_path)) == {place: [KILLED, DONE] for place in MANY}


def test_what_mlflow_alone_began_and_cannot_end_is_made_anew(tmp_path: Path) -> None:
    url = in_files(tmp_path)
    assert made("theirs", ["1000"], url) == {"1000": [KILLED, FAILED]}
    assert made("ours", ["900"], url.format("1000")) == {"900": [KILLED, DONE]}


def test_a_kill_leaves_postgresql_as_it_was(postgres: PostgresServer) -> None:
    places = ("9", "200", "500")
    for place in places:
        postgres.execute(f"CREATE DATABASE mlflow_{place}")
    try:
        found = made("ours", places, postgres.url("mlflow_{}"))
    finally:
        for place in places:
            postgres.execute(f"DROP DATABASE mlflow_{place} WITH (FORCE)")
    assert found == {place: [KILLED, DONE] for place in places}


def test_what_an_older_mlflow_kept_is_upgraded(tmp_path: Path) -> None:
    url = in_files(tmp_path)
    assert made("older", ["9999"], url)["9999"][0] == DONE
    file = tmp_path / "9999.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(
            "INSERT INTO experiments (experiment_id, name, lifecycle_stage, workspace)"
            " VALUES (7, 'kept', 'active', 'default')"
        )
        older = version(connection)
    assert made("ours", ["12"], url.format("9999")) == {"12": [KILLED, DONE]}
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT name FROM experiments").fetchall() == [("kept",)]
        assert version(connection) != older


def version(connection: sqlite3.Connection) -> str:
    """The revision of a database of MLflow."""
    [revision] = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(revision)
