"""What every endpoint may need, made once an app: settings and the ways to the outside systems."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Request
from sqlalchemy import Engine

from api.doorbell import Doorbell
from api.instruments import Instruments
from api.readiness import Prober
from core.data.cache import Cache
from core.data.stores import Store
from core.models import Models
from core.settings import Settings


def _one_a_core() -> CapacityLimiter:
    return CapacityLimiter(os.cpu_count() or 1)


@dataclass(frozen=True)
class Context:
    """Settings, database, store, broker, cached files and loaded models of one app.

    `parsers` limits how many uploads are parsed at once, in a process each.
    """

    settings: Settings
    engine: Engine
    store: Store
    models: Models
    cache: Cache
    doorbell: Doorbell
    instruments: Instruments
    prober: Prober
    parsers: CapacityLimiter = field(default_factory=_one_a_core)

    @property
    def uploads(self) -> Path:
        """The folder in which uploads gather until they are parsed."""
        return self.settings.data_dir / "uploads"


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Here = Annotated[Context, Depends(_context)]
"""Parameter of an endpoint: the context of its app."""
