"""Create MLflow's tables so that a kill at any moment leaves all of them or none.

MLflow creates its tables in some seventy steps. On SQLite each statement is committed at once:
after a kill in between, MLflow would try to create a table that exists, and never start again.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from mlflow.store.db import utils

_SQLITE = "sqlite:///"
_LOCK = 0x4D4C666C6F77
"""Key of the advisory lock in PostgreSQL: only one server at a time creates the tables."""
_COMPANIONS = ("-wal", "-shm", "-journal")
_CONTENT = {
    "runs": "SELECT 1 FROM runs LIMIT 1",
    "experiments": "SELECT 1 FROM experiments WHERE experiment_id <> 0 LIMIT 1",
    "registered_models": "SELECT 1 FROM registered_models LIMIT 1",
}
"""Queries that find rows of users, which a new database does not have."""


def prepare(uri: str) -> None:
    """Create the tables of the installed MLflow at `uri`, or upgrade those of an older one.

    A SQLite file is written under another name and renamed when it is complete. PostgreSQL creates
    the tables in one transaction, one server at a time. Raises the errors of the database driver.
    """
    if uri.startswith(_SQLITE):
        _prepare_file(Path(uri.removeprefix(_SQLITE)))
        return
    engine = utils.create_sqlalchemy_engine(uri)
    try:
        with engine.connect() as guard:
            guard.exec_driver_sql(f"SELECT pg_advisory_lock({_LOCK})")
            # The lock belongs to the session; an open transaction would block others.
            guard.commit()
            if not _complete(engine):
                utils._initialize_tables(engine)
    finally:
        engine.dispose()


def _prepare_file(path: Path) -> None:
    if not _complete_file(path):
        new = path.with_name(f"{path.name}.new")
        _remove(new)
        if _has_content(path):
            _upgrade_copy(path, new)
        else:
            _make(new)
            # The write-ahead log of an unfinished file must not be applied to the new one.
            _remove(path)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(path)
    with closing(sqlite3.connect(path)) as connection:
        # MLflow does not set this mode; the file keeps it.
        connection.execute("PRAGMA journal_mode=WAL")


def _make(path: Path) -> None:
    """Create a database, first in memory, where hundreds of statements take half the time."""
    engine = utils.create_sqlalchemy_engine("sqlite://")
    try:
        utils._initialize_tables(engine)
        memory = engine.raw_connection()
        with closing(memory), closing(sqlite3.connect(path)) as file:
            memory.driver_connection.backup(file)
    finally:
        engine.dispose()


def _upgrade_copy(path: Path, copy: Path) -> None:
    """Copy the database of an older MLflow, with its write-ahead log, and upgrade the copy."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.execute("PRAGMA journal_mode=DELETE")
        source.backup(target)
    engine = utils.create_sqlalchemy_engine(f"{_SQLITE}{copy}")
    try:
        utils._initialize_tables(engine)
    finally:
        engine.dispose()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    for end in _COMPANIONS:
        path.with_name(path.name + end).unlink(missing_ok=True)


def _complete_file(path: Path) -> bool:
    if not path.exists():
        return False
    engine = utils.create_sqlalchemy_engine(f"{_SQLITE}{path}")
    try:
        return _complete(engine)
    finally:
        engine.dispose()


def _complete(engine: Any) -> bool:
    """Return whether all tables exist in the version of the installed MLflow."""
    newest: str = utils._get_latest_schema_revision()
    return bool(utils._all_tables_exist(engine)) and utils._get_schema_version(engine) == newest


def _has_content(path: Path) -> bool:
    """Return whether a database holds rows of users."""
    if not path.exists():
        return False
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        tables = {name for (name,) in connection.execute(query)}
        return any(
            connection.execute(search).fetchone()
            for table, search in _CONTENT.items()
            if table in tables
        )
