"""What takes the space: rows by kind and files by folder, with their bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.orm import Session

from core.data.storage.stores import Store
from core.db import tables
from core.jobs.deletion import FOLDERS
from core.retention.sizes import row_bytes, row_count

TABLES: Mapping[str, Sequence[type[tables.Base]]] = {
    "jobs": (
        tables.Job,
        tables.Attempt,
        tables.Checkpoint,
        tables.Experiment,
        tables.DeletedRun,
    ),
    "metrics": (tables.MetricChunk,),
    "events": (tables.JobEvent,),
    "logs": (tables.LogLine,),
    "sources": (tables.Source,),
    "sweeps": (tables.Sweep, tables.Trial, tables.Fold),
    "registered_models": (
        tables.RegisteredModel,
        tables.ModelVersion,
        tables.ModelAlias,
        tables.AliasChange,
        tables.Evaluation,
    ),
    "dataset_versions": (tables.Dataset, tables.DatasetVersion, tables.Alias),
    "idempotency_keys": (tables.IdempotencyKey,),
    "deliveries": (tables.Delivery, tables.Webhook),
    "workers": (tables.Worker, tables.Node),
}
"""All tables, by kind."""

STORED: Mapping[str, Sequence[str]] = {
    "datasets": ("chunks", "datasets", "damaged"),
    **{folder: (folder,) for folder in FOLDERS},
}
"""The folders of the store, by kind."""


@dataclass(frozen=True)
class Usage:
    """How many rows or files there are of a kind, and their bytes (of rows an estimate)."""

    kind: str
    place: Literal["database", "store", "disk"]
    count: int
    bytes: int


def table_usage(session: Session) -> list[Usage]:
    """The rows of all tables by kind."""
    usages = []
    for kind, members in TABLES.items():
        counts = [row_count(session, table) for table in members]
        sizes = [
            count * row_bytes(session, table) if count else 0
            for table, count in zip(members, counts, strict=True)
        ]
        usages.append(Usage(kind, "database", sum(counts), sum(sizes)))
    return usages


def store_usage(store: Store) -> list[Usage]:
    """The files of the store by kind; lists all of them. Raises UnavailableError."""
    usages = []
    for kind, folders in STORED.items():
        count = size = 0
        for folder in folders:
            for file in store.files(folder):
                count, size = count + 1, size + file.bytes
        usages.append(Usage(kind, "store", count, size))
    return usages
