"""The context of an app: its settings and its connections to other systems."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Annotated, Any, TypeVar

from anyio import CapacityLimiter
from fastapi import Depends, Request
from sqlalchemy import Engine

from api.metrics import Instruments
from api.readiness import Prober
from api.wakeups import WakeUps
from core.data.storage.cache import Cache
from core.data.storage.stores import Store
from core.datasets import Quota
from core.models import Models
from core.retention import Storage, kept_days
from core.settings import Settings

MAX_STREAMS = 500
FRESH_SECONDS = 600.0

Value = TypeVar("Value")


def _one_per_core() -> CapacityLimiter:
    return CapacityLimiter(os.cpu_count() or 1)


class Remembered:
    """A value that takes long to compute, computed again when it is older than ten minutes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._value: Any = None
        self._until = clock()

    def get(self, compute: Callable[[], Value]) -> Value:
        """The value; concurrent calls compute it once. Raises as `compute` does."""
        with self._lock:
            if self._clock() >= self._until:
                self._value = compute()
                self._until = self._clock() + FRESH_SECONDS
            value: Value = self._value
            return value

    def forget(self) -> None:
        """Compute the value at the next call."""
        with self._lock:
            self._until = self._clock()


@dataclass(frozen=True)
class Context:
    """Settings, database, store, broker, cached files and loaded models of one app.

    Clients may import datasets from URLs under `dataset_urls`. `parsers` limits the number of
    parser processes, `streams` the number of open event streams and `stream_readers` the number of
    threads that read for them. `closing` is set when the server stops. `file_sizes` is what
    GET /v1/storage says about files.
    """

    settings: Settings
    engine: Engine
    store: Store
    models: Models
    cache: Cache
    wakeups: WakeUps
    instruments: Instruments
    prober: Prober
    dataset_urls: tuple[str, ...] = ()
    parsers: CapacityLimiter = field(default_factory=_one_per_core)
    streams: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(MAX_STREAMS))
    stream_readers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(4))
    closing: Event = field(default_factory=Event)
    file_sizes: Remembered = field(default_factory=Remembered)

    @property
    def quota(self) -> Quota:
        """The limits on the data of an owner."""
        return Quota(self.settings.max_owner_bytes, self.settings.max_dataset_versions)

    @property
    def storage(self) -> Storage:
        """What retention applies to."""
        return Storage(self.engine, self.store, mirrored_only=bool(self.settings.mlflow_url))

    @property
    def kept_days(self) -> dict[str, float | None]:
        """For how many days things are kept, by kind; None: for ever."""
        return {**kept_days(self.settings), "uploads": self.settings.keep_uploads_days or None}

    @property
    def uploads(self) -> Path:
        """The folder of uploads that are not parsed yet."""
        return self.settings.data_dir / "uploads"


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Here = Annotated[Context, Depends(_context)]
"""Parameter of an endpoint: the context of its app."""
