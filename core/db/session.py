"""Sessions of one transaction each. This is the only module that commits."""

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

# SQLite raises the same class for an invalid statement and for a locked or full database.
_SQLITE_INVALID_STATEMENT = sqlite3.SQLITE_ERROR


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """A session of one transaction, which is committed at the end or rolled back on an exception.

    Rows stay readable after the commit. Raises UnavailableError if the database does not answer,
    is locked or full (the outcome of a commit is then unknown), and InvalidError if it cannot
    store a value.
    """
    with _translated(), Session(engine, expire_on_commit=False) as session, session.begin():
        yield session
        _complete(session)


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A read-only session, which does not block writers.

    Raises UnavailableError if the database does not answer.
    """
    read_only = engine.execution_options(**{READ_ONLY: True, "postgresql_readonly": True})
    with _translated(), Session(read_only, expire_on_commit=False, autoflush=False) as session:
        yield session


def repeated(engine: Engine, work: Callable[[Session], Result], *, tries: int = 3) -> Result:
    """Run `work(session)` in a transaction and retry it if the database is not available.

    `work` must be idempotent. Raises UnavailableError after `tries` attempts.
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
    """Load the columns that the database computed, for the rows that are still referenced."""
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
        if _invalid_statement(error):
            raise
        raise UnavailableError(f"the database does not answer: {_reason(error)}") from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise UnavailableError("the connection to the database was lost") from error


def _invalid_statement(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlite_errorcode", None) == _SQLITE_INVALID_STATEMENT


def _reason(error: DBAPIError) -> str:
    # The first line of the driver's text contains no statement and no values.
    return str(error.orig).strip().partition("\n")[0]
