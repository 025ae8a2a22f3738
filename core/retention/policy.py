"""What a retention policy is: what it deletes, after how many days, in small batches."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Engine

from core.data.storage.stores import Store
from core.db.clock import later

DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Storage:
    """The database and the store that policies apply to.

    With `mirrored_only`, what MLflow does not have yet is kept.
    """

    engine: Engine
    store: Store
    mirrored_only: bool = False


@dataclass(frozen=True)
class Item:
    """A file in the store, or the points of a job's curves (with an empty `key`)."""

    kind: str
    job_id: str
    key: str
    bytes: int


@dataclass(frozen=True)
class Freed:
    """What was deleted, or would be: rows of the database, files, bytes of both, and the files.

    The bytes of rows are an estimate.
    """

    rows: int = 0
    files: int = 0
    bytes: int = 0
    items: tuple[Item, ...] = field(default=(), repr=False)

    def __add__(self, other: "Freed") -> "Freed":
        return Freed(
            self.rows + other.rows,
            self.files + other.files,
            self.bytes + other.bytes,
            self.items + other.items,
        )

    def __bool__(self) -> bool:
        return bool(self.rows or self.files or self.items)


class RetentionPolicy(ABC):
    """Deletes things of one kind that are older than a number of days."""

    pass_seconds = 3600.0
    """The least time between two passes of a scheduler over all things of the kind."""

    def __init__(self, kind: str, days: float) -> None:
        self.kind, self.days = kind, days

    @property
    def cutoff(self) -> ColumnElement[Any]:
        """The time, by the clock of the database, before which things are old."""
        return later(-DAY_SECONDS * self.days)

    @abstractmethod
    def overdue(self, storage: Storage) -> Freed:
        """What `apply` would delete now. Changes nothing. Raises UnavailableError."""

    @abstractmethod
    def apply(self, storage: Storage) -> Iterator[Freed]:
        """Delete what is old, a bounded batch at each step, and yield what that freed.

        Each batch commits short transactions of its own. Steps may be abandoned and repeated, also
        by several processes at the same time. Raises UnavailableError.
        """
