"""Read experiments: the groups that jobs name."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db.tables import Experiment


def list_experiments(
    session: Session, *, after: str | None = None, limit: int = 50
) -> list[Experiment]:
    """Experiments by name, those whose name comes after `after`."""
    statement = select(Experiment).order_by(Experiment.name).limit(limit)
    if after is not None:
        statement = statement.where(Experiment.name > after)
    return list(session.scalars(statement))
