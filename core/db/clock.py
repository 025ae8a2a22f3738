"""The clock of the database, the only clock that leases, retries and order depend on.

The clocks of machines differ, so every stored or compared time is computed by the database in the
statement that uses it.
"""

from typing import Any

from sqlalchemy import type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import BigInteger

from core.db.types import Timestamp


class _Now(FunctionElement[Any]):
    """Milliseconds since 1970 by the clock of the database, constant within a statement.

    A function, because SQLAlchemy does not cache statements with other custom column elements.
    """

    inherit_cache = True
    name = "chainrule_now"
    type = BigInteger()


@compiles(_Now, "sqlite")
def _now_on_sqlite(_element: _Now, _compiler: SQLCompiler, **_: Any) -> str:
    # unixepoch('subsec') would be shorter but needs SQLite 3.42.
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"


@compiles(_Now, "postgresql")
def _now_on_postgresql(_element: _Now, _compiler: SQLCompiler, **_: Any) -> str:
    # The start of the statement, because that of a long transaction would be outdated. It is
    # stable within the statement, so comparisons with it can use an index.
    return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)"


def now() -> ColumnElement[Any]:
    """The current time as a SQL expression of type Timestamp."""
    return type_coerce(_Now(), Timestamp())


def later(seconds: float) -> ColumnElement[Any]:
    """The time `seconds` from now (negative: ago) as a SQL expression of type Timestamp."""
    return type_coerce(_Now() + round(seconds * 1000), Timestamp())
