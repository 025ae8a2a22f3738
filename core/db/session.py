"""Sessions: one transaction each, committed here and nowhere else."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Engine, inspect
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from core.db.engine import READ_ONLY
from core.errors import InvalidError, UnavailableError

Result = TypeVar("Result")

# SQLite reports a wrong statement with the same class as a locked or full database.
_SQLITE_WRONG_STATEMENT = sqlite3.SQLITE_ERROR


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """A session whose one transaction is committed at the end, or rolled back on any exception.

    Rows stay readable after the commit. Raises UnavailableError when the database does not answer,
    is locked or full (the outcome of a commit is then unknown), InvalidError when it cannot store a
    value.
    """
    with _translated(), Session(engine, expire_on_commit=False) as session, session.begin():
        yield session
        _complete(session)


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session that only reads and holds no lock that a writer would wait for.

    Raises UnavailableError when the database does not answer.
    """
    quiet = engine.execution_options(**{READ_ONLY: True, "postgresql_readonly": True})
    with _translated(), Session(quiet, expire_on_commit=False, autoflush=False) as session:
        yield session


def repeated(engine: Engine, work: Callable[[Session], Result], *, tries: int = 3) -> Result:
    """`work(session)` in a transaction, tried again when the database was busy or went away.

    Only for work that is harmless when it happens twice. Raises UnavailableError after `tries`.
    """
    for _ in range(tries - 1):
        try:
            with transaction(engine) as session:
                return work(session)
        except UnavailableError:
            continue
    with transaction(engine) as session:
        return work(session)


def _complete(session: Session) -> None:
    """Load what the database computed in rows that somebody still holds."""
    session.flush()
    for row in session:
        missing = inspect(row).expired_attributes
        if missing:
            session.refresh(row, missing)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeoutError as error:
        raise UnavailableError("all connections to the database are in use") from error
    except DataError as error:
        raise InvalidError("a value does not fit into the database") from error
    except (OperationalError, InterfaceError) as error:
        if _wrong_statement(error):
            raise
        raise UnavailableError(f"the database does not answer: {_reason(error)}") from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise UnavailableError("the connection to the database broke") from error


def _wrong_statement(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlite_errorcode", None) == _SQLITE_WRONG_STATEMENT


def _reason(error: DBAPIError) -> str:
    # The driver's first line holds no statement and no values; addresses of servers at most.
    return str(error.orig).strip().partition("\n")[0]
