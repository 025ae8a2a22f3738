"""Model files of jobs, and a cache of loaded models."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus
from core.data.storage.cache import Cache
from core.data.storage.stores import Store
from core.db.tables import Job
from core.errors import ConflictError, existing
from core.training.model import TrainedModel


@dataclass(frozen=True)
class ModelFile:
    """Key of a model file in the store and the SHA-256 of its bytes."""

    key: str
    digest: str


def locate(session: Session, job_id: str) -> ModelFile:
    """Return the model file of a job. Raises NotFoundError, ConflictError while it has none."""
    columns = select(Job.status, Job.result).where(Job.id == job_id)
    row = session.execute(columns).one_or_none()
    return _file(job_id, *existing(row, f"there is no job {job_id}"))


def file_of(job: Job) -> ModelFile:
    """Return the model file of a job. Raises ConflictError while it has none."""
    return _file(job.id, job.status, job.result)


def _file(job_id: str, status: JobStatus, result: dict[str, Any] | None) -> ModelFile:
    if status is not JobStatus.FINISHED or result is None or "model_key" not in result:
        raise ConflictError(
            f"job {job_id} is {status}: only a finished job has a model to predict with"
        )
    return ModelFile(result["model_key"], result["model_digest"])


class _Entry:
    """One model of the cache; its lock makes other threads wait while one thread loads it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.model: TrainedModel | None = None


class Models:
    """Cache of loaded models that keeps the most recently used ones; thread-safe."""

    def __init__(
        self, store: Store, cache: Cache, *, most: int = 16, most_bytes: int = 2**30
    ) -> None:
        self._store = store
        self._cache = cache
        self._most = most
        self._most_bytes = most_bytes
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def load(self, file: ModelFile) -> TrainedModel:
        """Return the model in `file`, from memory, the node's cache or the store.

        Raises UnavailableError when the store does not answer, NotFoundError when the file does
        not exist, InvalidError when it is damaged.
        """
        with self._lock:
            entry = self._entries.setdefault(file.digest, _Entry())
            self._entries.move_to_end(file.digest)
        with entry.lock:
            if entry.model is None:
                entry.model = self._read(file)
            return entry.model

    def _read(self, file: ModelFile) -> TrainedModel:
        try:
            with self._cache.held(self._store, file.key, file.digest) as path:
                model = TrainedModel.load(path)
        except Exception:
            with self._lock:
                self._entries.pop(file.digest, None)
            raise
        with self._lock:
            self._drop_oldest()
        return model

    def _drop_oldest(self) -> None:
        # The newest model stays even if it exceeds the limit.
        while len(self._entries) > 1 and (
            len(self._entries) > self._most or self._bytes() > self._most_bytes
        ):
            self._entries.popitem(last=False)

    def _bytes(self) -> int:
        models = [entry.model for entry in self._entries.values()]
        return sum(int(model.network.weights.nbytes) for model in models if model is not None)
