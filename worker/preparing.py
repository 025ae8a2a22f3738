"""Bring what an attempt needs to this machine: the dataset version, a checkpoint to go on from."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import Engine

from core import jobs
from core.data.cache import Cache
from core.data.copies import held
from core.data.stores import Store
from core.db.session import reading, repeated
from core.errors import InvalidError, NotFoundError

log = structlog.get_logger()


@dataclass(frozen=True)
class Materials:
    """Files of an attempt: the table, and the checkpoint to go on from, if any."""

    table: Path
    resume: Path | None
    checkpoint_id: str | None
    keeping: ExitStack
    """Closing it lets the cache push the files out again."""


def prepare(engine: Engine, store: Store, cache: Cache, claim: jobs.Claim) -> Materials:
    """Fetch the files of `claim`; checked against their digests, held until no longer needed.

    A checkpoint that is gone or damaged is forgotten, and the one before it used. Raises
    UnavailableError when store or disk refuse, InvalidError when the dataset itself is damaged,
    SupersededError.
    """
    with ExitStack() as stack:
        table = stack.enter_context(held(cache, store, claim.dataset_digest))
        found = _checkpoint(engine, store, cache, claim, stack)
        path, checkpoint_id = found or (None, None)
        return Materials(table, path, checkpoint_id, stack.pop_all())


def _checkpoint(
    engine: Engine, store: Store, cache: Cache, claim: jobs.Claim, stack: ExitStack
) -> tuple[Path, str] | None:
    """The newest usable checkpoint and its id; tells the database when it is not the claim's."""
    if claim.checkpoint is None:
        return None
    with reading(engine) as session:
        candidates = jobs.checkpoints(session, claim.job_id)
    for row in candidates:
        try:
            path = stack.enter_context(cache.held(store, row.key, row.digest))
        except (InvalidError, NotFoundError) as error:
            log.error("a checkpoint is unusable", step=row.step, reason=error.detail)
            forget(engine, row.id)
            continue
        if row.id != claim.checkpoint.id:
            _tell(engine, claim, row.step)
        return path, row.id
    _tell(engine, claim, 0)
    return None


def forget(engine: Engine, checkpoint_id: str) -> None:
    """Let no attempt go on from this checkpoint."""
    repeated(engine, lambda session: jobs.forget_checkpoint(session, checkpoint_id))


def _tell(engine: Engine, claim: jobs.Claim, step: int) -> None:
    repeated(engine, lambda session: jobs.resumed(session, claim.job_id, claim.attempt, step))
