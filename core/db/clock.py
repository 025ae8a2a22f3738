"""The database's clock: the only one that decides about leases, retries and order.

Clocks of machines differ; every moment that is compared or stored is asked of the database inside
the statement that uses it.
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
    """Milliseconds since 1970 by the database's clock, the same within one statement.

    A function and not a bare column element: statements with those are compiled anew each time.
    """

    inherit_cache = True
    name = "chainrule_now"
    type = BigInteger()


@compiles(_Now, "sqlite")
def _now_on_sqlite(element: _Now, compiler: SQLCompiler, **_: Any) -> str:
    # unixepoch('subsec') would be shorter but needs SQLite 3.42.
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"


@compiles(_Now, "postgresql")
def _now_on_postgresql(element: _Now, compiler: SQLCompiler, **_: Any) -> str:
    # The statement's start, not the transaction's: a long transaction must not see an old time.
    # It is stable within the statement, so an index can serve comparisons with it.
    return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)"


def now() -> ColumnElement[Any]:
    """The present moment by the database's clock, as a SQL expression of type Timestamp."""
    return type_coerce(_Now(), Timestamp())


def later(seconds: float) -> ColumnElement[Any]:
    """The moment `seconds` from now (negative: ago), as a SQL expression of type Timestamp."""
    return type_coerce(_Now() + round(seconds * 1000), Timestamp())
