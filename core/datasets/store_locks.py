"""Lock between processes that keep bytes in the store and those that erase them.

An upload skips chunks that the store has: they must not be erased until it is registered.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import Engine, text

from core.data.storage.locks import attempted, shared

_NUMBER = 0x6368_7275  # an arbitrary advisory lock of this database


@contextmanager
def keeping(engine: Engine) -> Iterator[None]:
    """Hold the shared lock: nothing is erased meanwhile. Waits for an erasure in progress."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SELECT pg_advisory_lock_shared(:n)"), {"n": _NUMBER})
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock_shared(:n)"), {"n": _NUMBER})
        return
    path = _file(engine)
    with shared(path) if path else nullcontext():
        yield


@contextmanager
def erasing(engine: Engine) -> Iterator[bool]:
    """Try to hold the exclusive lock; yield whether it is held. Nothing is kept meanwhile."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            attempt = text("SELECT pg_try_advisory_lock(:n)")
            free = bool(connection.execute(attempt, {"n": _NUMBER}).scalar())
            try:
                yield free
            finally:
                if free:
                    connection.execute(text("SELECT pg_advisory_unlock(:n)"), {"n": _NUMBER})
        return
    path = _file(engine)
    with attempted(path) if path else nullcontext(True) as free:
        yield free


def _file(engine: Engine) -> Path | None:
    """Return the lock file next to an SQLite database; None for a database in memory."""
    name = engine.url.database
    return Path(f"{name}.store") if name and name != ":memory:" else None
