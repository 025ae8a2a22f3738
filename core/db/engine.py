"""Engines for SQLite and PostgreSQL, with settings for short and durable transactions."""

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

from core.errors import InvalidError

READ_ONLY = "chainrule_read_only"
"""Execution option of a connection whose transactions only read."""

_BUSY_SECONDS = 30


def make_engine(url: str, *, statement_seconds: float = 9.0, pool_size: int = 8) -> Engine:
    """Create an engine for `url` (`sqlite:///file` or `postgresql+psycopg://...`).

    On PostgreSQL a statement is limited to `statement_seconds`. That is less than a third of a
    lease, so that a renewal can be repeated in time. Raises InvalidError for other databases.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    if parsed.get_backend_name() == "postgresql":
        return _postgresql(
            parsed.set(drivername="postgresql+psycopg"), statement_seconds, pool_size
        )
    raise InvalidError(
        f"the database URL names {parsed.get_backend_name()}; "
        "Chainrule supports sqlite and postgresql+psycopg"
    )


def _sqlite(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Disable the implicit deferred transactions of the driver.
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later fails with "database is locked" despite the
    # timeout. One that acquires the write lock at its start waits.
    read_only = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _postgresql(url: URL, statement_seconds: float, pool_size: int) -> Engine:
    milliseconds = round(statement_seconds * 1000)
    options = {
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": 15_000,
        "synchronous_commit": "on",
    }
    url_options = url.query.get("options", "")
    settings = " ".join(f"-c {name}={value}" for name, value in options.items())
    return create_engine(
        url.difference_update_query(["options"]),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        pool_recycle=300,
        pool_timeout=5,
        isolation_level="READ COMMITTED",
        connect_args={
            "application_name": "chainrule",
            "connect_timeout": 5,
            "keepalives": 1,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": milliseconds,
            # Options in the URL come last and take precedence.
            "options": f"{settings} {url_options}".strip(),
        },
    )
