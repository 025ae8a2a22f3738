"""Who brings bytes to the store, and who takes them away, keep out of each other's way.

An upload leaves out chunks that the store has already; nobody may erase those meanwhile.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import Engine, text

from core.data.storage.locks import attempted, shared

_NUMBER = 0x6368_7275  # any that nobody else takes in this database


@contextmanager
def keeping(engine: Engine) -> Iterator[None]:
    """While it lasts nothing is erased. Any number of holders; waits for one who erases."""
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
    """Whether nobody keeps anything now; then nobody does while it lasts."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            taken = text("SELECT pg_try_advisory_lock(:n)")
            free = bool(connection.execute(taken, {"n": _NUMBER}).scalar())
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
    """The lock file beside an SQLite database; None for one in memory, which one process has."""
    name = engine.url.database
    return Path(f"{name}.store") if name and name != ":memory:" else None
