"""How much space tables take, as far as each database can say without reading them wholly."""

from sqlalchemy import LargeBinary, cast, func, inspect, select, text
from sqlalchemy.orm import Session

from core.db.tables import Base

_SAMPLE_ROWS = 100
_MOST_COUNTED = 100_000
_OVERHEAD = 1.3
"""Bytes in a SQLite file for each byte of a row: its header, its indexes, space left in pages."""


def row_bytes(session: Session, table: type[Base]) -> int:
    """The bytes that one row takes on average with its indexes: an estimate, 0 without rows."""
    if session.get_bind().dialect.name == "postgresql":
        total = session.scalar(text("SELECT pg_total_relation_size(CAST(:name AS regclass))"), {
            "name": table.__tablename__
        })  # fmt: skip
        rows = row_count(session, table)
        return round((total or 0) / rows) if rows else 0
    columns = inspect(table).columns
    first = next(iter(inspect(table).primary_key))
    sizes = [func.coalesce(func.length(cast(column, LargeBinary)), 1) for column in columns]
    sample = select(sum(sizes[1:], sizes[0]).label("size")).order_by(first.desc())
    average = session.scalar(select(func.avg(sample.limit(_SAMPLE_ROWS).subquery().c.size)))
    return round(float(average or 0) * _OVERHEAD)


def row_count(session: Session, table: type[Base]) -> int:
    """The number of rows; of large tables on PostgreSQL its last estimate."""
    if session.get_bind().dialect.name == "postgresql":
        query = text("SELECT reltuples FROM pg_class WHERE oid = CAST(:name AS regclass)")
        estimate = int(session.scalar(query, {"name": table.__tablename__}) or 0)
        if estimate > _MOST_COUNTED:
            return estimate
    return session.scalar(select(func.count()).select_from(table)) or 0


def database_bytes(session: Session) -> tuple[int, int]:
    """The bytes of the database, and of those the bytes that deleted rows left for new ones.

    PostgreSQL does not say the latter: 0.
    """
    if session.get_bind().dialect.name == "postgresql":
        return session.scalar(text("SELECT pg_database_size(current_database())")) or 0, 0
    page, pages, free = (
        session.scalar(text(f"PRAGMA {name}")) or 0
        for name in ("page_size", "page_count", "freelist_count")
    )
    return page * pages, page * free
