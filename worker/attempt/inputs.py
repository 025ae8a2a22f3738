"""Bring what an attempt needs to this machine: the dataset version, a checkpoint to go on from."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Engine

from core import jobs
from core.data.storage.cache import Cache
from core.data.storage.local_copy import Nearer, held
from core.data.storage.progressive import Arriving, arriving
from core.data.storage.stores import Store
from core.db.session import reading, repeated
from core.errors import ChainruleError, InvalidError, NotFoundError, TooLargeError
from core.spec import JobSpec
from core.training.dataset.stream import apart

log = structlog.get_logger()


@dataclass(frozen=True)
class Materials:
    """Files of an attempt: the table, and the checkpoint to go on from, if any."""

    table: Path
    resume: Path | None
    checkpoint_id: str | None
    keeping: ExitStack
    """Closing it lets the cache push the files out again."""
    arriving: Arriving | None = None
    """What brings the table here meanwhile, if it is not whole yet."""


def prepare(
    engine: Engine,
    store: Store,
    cache: Cache,
    claim: jobs.Claim,
    *,
    nearer: Nearer | None = None,
    large: JobSpec | None = None,
    folder: Path | None = None,
) -> Materials:
    """Fetch the files of `claim`; checked against their digests, held until no longer needed.

    `nearer` makes what is asked for chunks before the store.

    A table that is not here comes while training goes on when it is read from the disk anyway:
    then `large` is the spec, and what belongs to it goes into `folder`.

    A checkpoint that is gone or damaged is forgotten, and the one before it used. Raises
    UnavailableError or OSError when store or disk refuse; NotFoundError, InvalidError or
    TooLargeError, which name the dataset version, when it is missing, damaged or larger than the
    cache; SupersededError.
    """
    with ExitStack() as stack:
        bringing = None
        with naming(claim):
            if large is None or folder is None:
                table = stack.enter_context(held(cache, store, claim.dataset_digest, nearer))
            else:
                digest, names = claim.dataset_digest, apart(large)
                copy, bringing = arriving(cache, store, digest, names, folder, nearer)
                stack.callback(copy.close)
                table = copy.path
        if bringing is not None:
            stack.callback(bringing.close)
            bringing.start()
        found = _checkpoint(engine, store, cache, claim, stack)
        path, checkpoint_id = found or (None, None)
        return Materials(table, path, checkpoint_id, stack.pop_all(), bringing)


def named(error: ChainruleError, claim: jobs.Claim) -> ChainruleError:
    """An error of the dataset's bytes that says of which version they are; others as they are."""
    if not isinstance(error, NotFoundError | InvalidError | TooLargeError):
        return error
    named = type(error)(f"dataset {claim.dataset}@{claim.dataset_version}: {error.detail}")
    named.__cause__ = error
    return named


@contextmanager
def naming(claim: jobs.Claim) -> Iterator[None]:
    """Let errors of the dataset's bytes say of which version they are."""
    try:
        yield
    except (NotFoundError, InvalidError, TooLargeError) as error:
        raise named(error, claim) from error


def arrival_of(materials: Materials) -> dict[str, Any] | None:
    """What the runner is told of a table that is still on its way."""
    if materials.arriving is None:
        return None
    arrival = materials.arriving.arrival
    return {
        "columns": str(arrival.columns),
        "names": list(arrival.names),
        "wanted": str(arrival.wanted),
    }


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
            store.confirm()
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
