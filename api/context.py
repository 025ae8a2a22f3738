"""What every endpoint may need, made once an app: settings and the ways to the outside systems."""

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

MOST_STREAMS = 500


def _one_a_core() -> CapacityLimiter:
    return CapacityLimiter(os.cpu_count() or 1)


@dataclass(frozen=True)
class Context:
    """Settings, database, store, broker, cached files and loaded models of one app.

    Datasets may be copied from under `dataset_urls`. `parsers` limits how many uploads are parsed
    at once, in a process each, `streams` how many jobs are followed live, `stream_readers` in how
    many threads. `closing` is set when the server is told to end: streams end then.
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
    parsers: CapacityLimiter = field(default_factory=_one_a_core)
    streams: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(MOST_STREAMS))
    stream_readers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(4))
    closing: Event = field(default_factory=Event)

    @property
    def quota(self) -> Quota:
        """What an owner may keep."""
        return Quota(self.settings.max_owner_bytes, self.settings.max_dataset_versions)

    @property
    def uploads(self) -> Path:
        """The folder in which uploads gather until they are parsed."""
        return self.settings.data_dir / "uploads"


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Here = Annotated[Context, Depends(_context)]
"""Parameter of an endpoint: the context of its app."""
