"""What a model is worth on a dataset version, overall and slice by slice."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.data import columns
from core.data.cache import Cache
from core.data.copies import held
from core.data.stores import Store
from core.db.tables import DatasetVersion, Evaluation
from core.errors import TooLargeError
from core.models.loading import ModelFile, Models
from core.training.scoring import Scores, score

MOST_NUMBERS = 20_000_000
"""Features of all rows together that are evaluated while somebody waits."""


@dataclass(frozen=True)
class Asked:
    """A model, the dataset version to measure it on, and columns to slice the rows by."""

    file: ModelFile
    dataset: DatasetVersion
    slices: tuple[str, ...] = ()


def evaluate(models: Models, store: Store, cache: Cache, asked: Asked) -> Scores:
    """Measure. Touches no database.

    Raises InvalidError naming a column that does not fit, TooLargeError beyond `MOST_NUMBERS`,
    UnavailableError when the store does not answer.
    """
    model = models.load(asked.file)
    size = asked.dataset.rows * max(1, model.width)
    if size > MOST_NUMBERS:
        raise TooLargeError(
            f"{asked.dataset.rows:,} rows have {size:,} numbers: more than {MOST_NUMBERS:,} are "
            "not evaluated while somebody waits"
        )
    with held(cache, store, asked.dataset.digest) as path:
        return score(model, columns.load(path), asked.slices)


def record(
    session: Session, job_id: str, dataset: DatasetVersion, found: Scores, *, owner: str
) -> Evaluation:
    """Keep what was measured."""
    row = Evaluation(
        job_id=job_id,
        dataset_version_id=dataset.id,
        rows=found.rows,
        metrics=found.metrics,
        slices=[
            {"column": one.column, "value": one.value, "rows": one.rows, "metrics": one.metrics}
            for one in found.slices
        ],
        owner=owner,
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def known(session: Session, job_id: str, asked: Asked) -> Evaluation | None:
    """What was measured before and has all that is asked: neither model nor data ever change."""
    found = latest_evaluation(session, job_id, asked.dataset)
    if found is None or not {one["column"] for one in found.slices} >= set(asked.slices):
        return None
    return found


def latest_evaluation(session: Session, job_id: str, dataset: DatasetVersion) -> Evaluation | None:
    """The newest evaluation of a job's model on a dataset version, or None."""
    statement = (
        select(Evaluation)
        .where(Evaluation.job_id == job_id, Evaluation.dataset_version_id == dataset.id)
        .order_by(Evaluation.id.desc())
        .limit(1)
    )
    return session.scalar(statement)


def evaluations(
    session: Session, job_ids: list[str], *, before: int | None = None, limit: int = 50
) -> list[Evaluation]:
    """Evaluations of the models of some jobs, newest first."""
    statement = (
        select(Evaluation)
        .where(Evaluation.job_id.in_(job_ids))
        .order_by(Evaluation.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(Evaluation.id < before)
    return list(session.scalars(statement))
