"""The context of an app: its settings and its connections to other systems."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Annotated

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
from core.settings import Settings

MAX_STREAMS = 500


def _one_per_core() -> CapacityLimiter:
    return CapacityLimiter(os.cpu_count() or 1)


@dataclass(frozen=True)
class Context:
    """Settings, database, store, broker, cached files and loaded models of one app.

    Clients may import datasets from URLs under `dataset_urls`. `parsers` limits the number of
    parser processes, `streams` the number of open event streams and `stream_readers` the number of
    threads that read for them. `closing` is set when the server stops.
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

    @property
    def quota(self) -> Quota:
        """The limits on the data of an owner."""
        return Quota(self.settings.max_owner_bytes, self.settings.max_dataset_versions)

    @property
    def uploads(self) -> Path:
        """The folder of uploads that are not parsed yet."""
        return self.settings.data_dir / "uploads"


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Here = Annotated[Context, Depends(_context)]
"""Parameter of an endpoint: the context of its app."""
