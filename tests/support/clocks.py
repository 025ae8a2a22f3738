"""A database clock that stands still until a test moves it, on both databases.

The statements of the code run unchanged: on SQLite the function that they call is replaced, on
PostgreSQL a schema with another `statement_timestamp` comes before that of the system.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, event, make_url, text

from core.db.engine import make_engine

# Far from the time of any machine: code that asks a local clock is off by years.
START = datetime(2040, 1, 1, tzinfo=UTC)
_UNIX_EPOCH_DAY = 2440587.5


class StandingClock:
    """The database's clock, and a monotonic clock of a process that moves along with it."""

    def __init__(self, url: str) -> None:
        self.seconds = 0.0
        parsed = make_url(url)
        self._postgresql = parsed.get_backend_name() == "postgresql"
        if self._postgresql:
            _prepare(url)
            parsed = parsed.update_query_dict(
                {"options": "-c search_path=standing,pg_catalog,public"}
            )
        self.engine = make_engine(parsed.render_as_string(hide_password=False))
        if not self._postgresql:
            event.listen(self.engine, "connect", self._replace)

    def __call__(self) -> float:
        """The monotonic clock, in seconds."""
        return 1000.0 + self.seconds

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.seconds += seconds
        if self._postgresql:
            with self.engine.begin() as connection:
                statement = text("UPDATE standing.clock SET at = :at")
                connection.execute(statement, {"at": START + timedelta(seconds=self.seconds)})

    def _replace(self, connection: Any, _record: Any) -> None:
        connection.create_function("julianday", 1, self._julian_day)
        # Durability does not matter here, and random histories commit thousands of times.
        connection.execute("PRAGMA synchronous = OFF").close()

    def _julian_day(self, _: str) -> float:
        return (START.timestamp() + self.seconds) / 86400 + _UNIX_EPOCH_DAY


def _prepare(url: str) -> None:
    engine: Engine = make_engine(url)
    with engine.begin() as connection:
        for statement in (
            "DROP SCHEMA IF EXISTS standing CASCADE",
            "CREATE SCHEMA standing",
            "CREATE TABLE standing.clock (at timestamptz)",
            f"INSERT INTO standing.clock VALUES ('{START.isoformat()}')",
            "CREATE FUNCTION standing.statement_timestamp() RETURNS timestamptz LANGUAGE sql"
            " STABLE AS 'SELECT at FROM standing.clock'",
        ):
            connection.execute(text(statement))
    engine.dispose()
