"""Numbers inside JSON documents, as SQL expressions on both databases."""

from typing import Any

from sqlalchemy import literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Double


class _NumberAt(FunctionElement[Any]):
    """The number at a path of a document: column, path for SQLite, path for PostgreSQL."""

    inherit_cache = True
    name = "chainrule_number_at"
    type = Double()


@compiles(_NumberAt, "sqlite")
def _number_on_sqlite(element: _NumberAt, compiler: SQLCompiler, **options: Any) -> str:
    column, path, _ = (compiler.process(part, **options) for part in element.clauses)
    return (
        f"CASE WHEN json_type({column}, {path}) IN ('integer', 'real')"
        f" THEN CAST(json_extract({column}, {path}) AS REAL) END"
    )


@compiles(_NumberAt, "postgresql")
def _number_on_postgresql(element: _NumberAt, compiler: SQLCompiler, **options: Any) -> str:
    column, _, path = (compiler.process(part, **options) for part in element.clauses)
    path = f"CAST({path} AS TEXT[])"
    return (
        f"CASE WHEN jsonb_typeof({column} #> {path}) = 'number'"
        f" THEN CAST({column} #>> {path} AS DOUBLE PRECISION) END"
    )


def number_at(column: Any, *names: str) -> ColumnElement[Any]:
    """The number at a path of a column of documents; NULL for text, NaN and what is not there.

    The names have no quotes, backslashes, commas or braces.
    """
    quoted = [f'"{name}"' for name in names]
    sqlite, postgresql = f"$.{'.'.join(quoted)}", f"{{{','.join(quoted)}}}"
    return _NumberAt(column, literal(sqlite), literal(postgresql))
