"""Fetch what an attempt needs to this machine: the dataset version, a checkpoint to resume from."""

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
from core.training.dataset import resident_columns

log = structlog.get_logger()


@dataclass(frozen=True)
class Materials:
    """Files of an attempt: the table, and the checkpoint to resume from, if any."""

    table: Path
    resume: Path | None
    checkpoint_id: str | None
    keeping: ExitStack
    """Closing it lets the cache evict the files again."""
    arriving: Arriving | None = None
    """What fetches the rest of the table while training runs, if it is not complete yet."""


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
    """Fetch the files of `claim`, compare them with their digests, and hold them in the cache.

    `nearer` makes the sources that are asked for chunks before the store.

    A table that training reads from the disk need not be complete before training starts: then
    `large` is the spec, and the files of the transfer go into `folder`.

    A checkpoint that is gone or damaged is forgotten, and the one before it is used. Raises
    UnavailableError or OSError when store or disk refuse; NotFoundError, InvalidError or
    TooLargeError, which name the dataset version, when it is missing, damaged or larger than the
    cache; SupersededError.
    """
    with ExitStack() as stack:
        transfer = None
        with naming(claim):
            if large is None or folder is None:
                table = stack.enter_context(held(cache, store, claim.dataset_digest, nearer))
            else:
                digest, names = claim.dataset_digest, resident_columns(large)
                copy, transfer = arriving(cache, store, digest, names, folder, nearer)
                stack.callback(copy.close)
                table = copy.path
        if transfer is not None:
            stack.callback(transfer.close)
            transfer.start()
        resume = _checkpoint(engine, store, cache, claim, stack)
        path, checkpoint_id = resume or (None, None)
        return Materials(table, path, checkpoint_id, stack.pop_all(), transfer)


def named(error: ChainruleError, claim: jobs.Claim) -> ChainruleError:
    """An error of the dataset's bytes with the name of its version; other errors unchanged."""
    if not isinstance(error, NotFoundError | InvalidError | TooLargeError):
        return error
    named = type(error)(f"dataset {claim.dataset}@{claim.dataset_version}: {error.detail}")
    named.__cause__ = error
    return named


@contextmanager
def naming(claim: jobs.Claim) -> Iterator[None]:
    """Add the name of the dataset version to errors of its bytes."""
    try:
        yield
    except (NotFoundError, InvalidError, TooLargeError) as error:
        raise named(error, claim) from error


def arrival_of(materials: Materials) -> dict[str, Any] | None:
    """What the runner must know of a table that is not complete yet; None when it is."""
    if materials.arriving is None:
        return None
    arrival = materials.arriving.arrival
    return {
        "columns": str(arrival.columns),
        "names": list(arrival.names),
        "wanted": str(arrival.requests),
    }


def _checkpoint(
    engine: Engine, store: Store, cache: Cache, claim: jobs.Claim, stack: ExitStack
) -> tuple[Path, str] | None:
    """The newest usable checkpoint and its id; records it when it is not the claim's."""
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
            _record_resumption(engine, claim, row.step)
        return path, row.id
    _record_resumption(engine, claim, 0)
    return None


def forget(engine: Engine, checkpoint_id: str) -> None:
    """Let no attempt resume from this checkpoint."""
    repeated(engine, lambda session: jobs.forget_checkpoint(session, checkpoint_id))


def _record_resumption(engine: Engine, claim: jobs.Claim, step: int) -> None:
    repeated(engine, lambda session: jobs.resumed(session, claim.job_id, claim.attempt, step))
