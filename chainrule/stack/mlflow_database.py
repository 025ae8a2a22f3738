"""MLflow's tables: a kill at any moment leaves none of them or all of them.

MLflow makes its tables in some seventy steps, and on SQLite each statement stands as soon as it is
done: killed in between, it would find a table that it is about to make, and never start again.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from mlflow.store.db import utils

_SQLITE = "sqlite:///"
_LOCK = 0x4D4C666C6F77
"""Names the advisory lock of PostgreSQL: two servers do not make the tables at once."""
_COMPANIONS = ("-wal", "-shm", "-journal")
_CONTENT = {
    "runs": "SELECT 1 FROM runs LIMIT 1",
    "experiments": "SELECT 1 FROM experiments WHERE experiment_id <> 0 LIMIT 1",
    "registered_models": "SELECT 1 FROM registered_models LIMIT 1",
}
"""What finds something in a table that is not there in a new database."""


def prepare(uri: str) -> None:
    """Give the database at `uri` the tables of the installed MLflow, those of an older one too.

    A SQLite file takes its place when it is complete. PostgreSQL makes the tables in one
    transaction, one server at a time. Raises what the driver of the database does.
    """
    if uri.startswith(_SQLITE):
        _prepare_file(Path(uri.removeprefix(_SQLITE)))
        return
    engine = utils.create_sqlalchemy_engine(uri)
    try:
        with engine.connect() as guard:
            guard.exec_driver_sql(f"SELECT pg_advisory_lock({_LOCK})")
            # The lock is the session's; an open transaction would only be in the way.
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
            # A write-ahead log of what was begun must not meet the new file.
            _remove(path)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(path)
    with closing(sqlite3.connect(path)) as connection:
        # MLflow never asks for it; the file remembers that we did.
        connection.execute("PRAGMA journal_mode=WAL")


def _make(path: Path) -> None:
    """Make a new database; in memory first, where hundreds of statements take half the time."""
    engine = utils.create_sqlalchemy_engine("sqlite://")
    try:
        utils._initialize_tables(engine)
        made = engine.raw_connection()
        with closing(made), closing(sqlite3.connect(path)) as file:
            made.driver_connection.backup(file)
    finally:
        engine.dispose()


def _upgrade_copy(path: Path, copy: Path) -> None:
    """Copy a database of an older MLflow, with all that its write-ahead log has, and upgrade it."""
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
    """Whether all tables are there, as the installed MLflow wants them."""
    newest: str = utils._get_latest_schema_revision()
    return bool(utils._all_tables_exist(engine)) and utils._get_schema_version(engine) == newest


def _has_content(path: Path) -> bool:
    """Whether a database holds anything that people or we put there."""
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
