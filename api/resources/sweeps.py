"""A sweep as the api shows it, with what has to be counted for that."""

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from api.resources import schemas, views
from core import sweeps
from core.db import tables


def shown(session: Session, row: tables.Sweep) -> schemas.Sweep:
    """A sweep, its trials by state, the best of them, and what it has spent."""
    # A row that this transaction changed has columns to be read again.
    session.refresh(row, inspect(row).mapper.column_attrs.keys())
    counts, best = sweeps.counts(session, row.id), sweeps.best(session, row)
    return views.sweep(row, counts, best, sweeps.spent(session, row))
