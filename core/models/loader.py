"""Find the model that a job left, and keep loaded ones in memory."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.data.storage.cache import Cache
from core.data.storage.stores import Store
from core.db.tables import Job
from core.errors import ConflictError, NotFoundError
from core.status import JobStatus
from core.training.model import TrainedModel


@dataclass(frozen=True)
class ModelFile:
    """Where the model of a job lies in the store, and the SHA-256 of its bytes."""

    key: str
    digest: str


def locate(session: Session, job_id: str) -> ModelFile:
    """The model file that a job left. Raises NotFoundError, ConflictError while there is none."""
    columns = select(Job.status, Job.result).where(Job.id == job_id)
    found = session.execute(columns).one_or_none()
    if found is None:
        raise NotFoundError(f"there is no job {job_id}")
    return _file(job_id, *found)


def file_of(job: Job) -> ModelFile:
    """The model file that a job left. Raises ConflictError while there is none."""
    return _file(job.id, job.status, job.result)


def _file(job_id: str, status: JobStatus, result: dict[str, Any] | None) -> ModelFile:
    if status is not JobStatus.FINISHED or result is None or "model_key" not in result:
        raise ConflictError(
            f"job {job_id} is {status}: only a finished job has a model to predict with"
        )
    return ModelFile(result["model_key"], result["model_digest"])


class _Place:
    """Where one model is or will be; its lock makes others wait while one loads it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.model: TrainedModel | None = None


class Models:
    """Loaded models, the most recently used ones kept; safe to use from several threads."""

    def __init__(
        self, store: Store, cache: Cache, *, most: int = 16, most_bytes: int = 2**30
    ) -> None:
        self._store = store
        self._cache = cache
        self._most = most
        self._most_bytes = most_bytes
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._lock = threading.Lock()

    def load(self, file: ModelFile) -> TrainedModel:
        """The model in `file`, from memory, this machine's cache or the store.

        Raises UnavailableError when the store does not answer, NotFoundError when the file is
        gone, InvalidError when it is damaged.
        """
        with self._lock:
            place = self._places.setdefault(file.digest, _Place())
            self._places.move_to_end(file.digest)
        with place.lock:
            if place.model is None:
                place.model = self._read(file)
            return place.model

    def _read(self, file: ModelFile) -> TrainedModel:
        try:
            with self._cache.held(self._store, file.key, file.digest) as path:
                model = TrainedModel.load(path)
        except Exception:
            with self._lock:
                self._places.pop(file.digest, None)
            raise
        with self._lock:
            self._forget_oldest()
        return model

    def _forget_oldest(self) -> None:
        # At least the newest stays, however large.
        while len(self._places) > 1 and (
            len(self._places) > self._most or self._bytes() > self._most_bytes
        ):
            self._places.popitem(last=False)

    def _bytes(self) -> int:
        models = [place.model for place in self._places.values()]
        return sum(int(model.network.weights.nbytes) for model in models if model is not None)
