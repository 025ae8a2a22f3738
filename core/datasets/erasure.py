"""Erasure of dataset versions: requested first, done once the version is unused. Rows stay."""

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import Engine, func, or_, select
from sqlalchemy.orm import Session

from chainrule.contract.status import TERMINAL, SweepStatus
from core import notices
from core.data.storage.stores import Store
from core.datasets import blobs
from core.datasets.queries import get_version
from core.datasets.store_locks import erasing
from core.db.clock import now
from core.db.session import reading, transaction
from core.db.tables import Alias, DatasetVersion, Job, ModelVersion, RegisteredModel, Sweep
from core.errors import ConflictError

_MOST_LISTED = 1000


@dataclass(frozen=True)
class Uses:
    """Uses of a version: jobs by status, unfinished jobs and sweeps, models, aliases.

    `holding` are ids of at most 1,000 jobs and 1,000 sweeps that have not ended; `models` are
    pairs of `name@version` and the id of its job.
    """

    jobs: dict[str, int] = field(default_factory=dict)
    holding: list[str] = field(default_factory=list)
    models: list[tuple[str, str]] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)


def uses(session: Session, name: str, version: int) -> Uses:
    """Return the uses of a version, erased or not. Raises NotFoundError."""
    row = get_version(session, name, version)
    counted = (
        select(Job.status, func.count())
        .where(Job.dataset_version_id == row.id)
        .group_by(Job.status)
    )
    counts = Counter({status.value: count for status, count in session.execute(counted)})
    models = (
        select(RegisteredModel.name, ModelVersion.version, ModelVersion.job_id)
        .join(ModelVersion, ModelVersion.model_id == RegisteredModel.id)
        .join(Job, Job.id == ModelVersion.job_id)
        .where(Job.dataset_version_id == row.id)
        .order_by(RegisteredModel.name, ModelVersion.version)
    )
    return Uses(
        jobs=dict(counts),
        holding=_holding(session, row),
        models=[(f"{model}@{number}", job) for model, number, job in session.execute(models)],
        aliases=_aliases(session, row),
    )


def request_erasure(
    session: Session, name: str, version: int, *, actor: str, reason: str = ""
) -> DatasetVersion:
    """Request that a version is erased once no job uses it; new jobs are refused from now on.

    A second request changes nothing. Raises NotFoundError, and ConflictError while an alias points
    at the version.
    """
    row = get_version(session, name, version)
    session.refresh(row, with_for_update=True)
    if row.erase_requested_at is not None:
        return row
    if pointing := _aliases(session, row):
        raise ConflictError(
            f"{name}@{pointing[0]} points at version {version}: let it point at another one first"
        )
    row.erase_requested_at = now()
    row.erase_cause = {"actor": actor, "reason": reason}
    session.flush()
    return row


def erasable(session: Session) -> list[int]:
    """Return the ids of versions to erase that no unfinished job or sweep uses."""
    requested = select(DatasetVersion).where(
        DatasetVersion.erase_requested_at.is_not(None), DatasetVersion.erased_at.is_(None)
    )
    return [row.id for row in session.scalars(requested) if not _holding(session, row)]


def erase(engine: Engine, store: Store, version_id: int) -> bool:
    """Delete the bytes of a version that no other uses, then mark its row; return whether done.

    Not done while the version is used or bytes are being kept. May be interrupted and repeated.
    Raises UnavailableError.
    """
    with erasing(engine) as free:
        if not free:
            return False
        with reading(engine) as session:
            row = session.get_one(DatasetVersion, version_id)
            if row.erased_at is not None or _holding(session, row):
                return False
            same = select(func.count()).where(
                DatasetVersion.digest == row.digest,
                DatasetVersion.id != row.id,
                DatasetVersion.erased_at.is_(None),
            )
            shared = bool(session.scalar(same))
        if not shared:
            for key in blobs.unheld(store, row.digest):
                store.delete(key)
        with transaction(engine) as session:
            row = session.get_one(DatasetVersion, version_id, with_for_update=True)
            row.erased_at = now()
            content = {"name": row.dataset.name, "version": row.version, "digest": row.digest}
            notices.announce(session, "dataset.erased", lambda: content)
        return True


def erased_digests(session: Session) -> set[str]:
    """Return the digests whose bytes must be deleted from all machines."""
    gone = select(DatasetVersion.digest).where(DatasetVersion.erased_at.is_not(None))
    live = select(DatasetVersion.digest).where(DatasetVersion.erased_at.is_(None))
    return set(session.scalars(gone.where(DatasetVersion.digest.not_in(live))))


def _holding(session: Session, row: DatasetVersion) -> list[str]:
    waiting = select(Job.id).where(Job.dataset_version_id == row.id, Job.status.not_in(TERMINAL))
    sweeps = select(Sweep.id).where(
        Sweep.dataset_version_id == row.id,
        or_(Sweep.status == SweepStatus.RUNNING, Sweep.status == SweepStatus.PAUSED),
    )
    return [
        *session.scalars(waiting.limit(_MOST_LISTED)),
        *session.scalars(sweeps.limit(_MOST_LISTED)),
    ]


def _aliases(session: Session, row: DatasetVersion) -> list[str]:
    pointing = select(Alias.name).where(
        Alias.dataset_id == row.dataset_id, Alias.version == row.version
    )
    return list(session.scalars(pointing.order_by(Alias.name)))
