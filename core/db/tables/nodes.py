"""Nodes and the workers on them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from core.db.clock import now
from core.db.tables.base import Base, Created
from core.db.types import Timestamp


class Node(Base):
    """A machine that has (or had) workers. `draining_at`: it finishes up and takes no new jobs."""

    __tablename__ = "nodes"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    devices: Mapped[list[Any]]
    versions: Mapped[dict[str, Any]]
    created_at: Mapped[Created]
    heartbeat_at: Mapped[datetime] = mapped_column(Timestamp, default=now())
    draining_at: Mapped[datetime | None]


class Worker(Base):
    """One Celery worker process on a node: which queues it serves, how many jobs at once.

    `datasets` are digests of versions that its cache holds whole, `peer_url` is where other workers
    may fetch chunks from it; None: nowhere. `spec_version` is the newest that it reads.
    `suspended_at`: since when its circuit breaker keeps it from claiming, `suspended_for` why.
    """

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    node: Mapped[str] = mapped_column(ForeignKey("nodes.name"), index=True)
    pid: Mapped[int]
    slots: Mapped[int]
    queues: Mapped[list[str]]
    spec_version: Mapped[int] = mapped_column(default=1, server_default="1")
    datasets: Mapped[list[str] | None]
    peer_url: Mapped[str | None] = mapped_column(String(255))
    started_at: Mapped[Created]
    heartbeat_at: Mapped[datetime] = mapped_column(Timestamp, default=now())
    draining_at: Mapped[datetime | None]
    stopped_at: Mapped[datetime | None]
    suspended_at: Mapped[datetime | None]
    suspended_for: Mapped[str | None] = mapped_column(String(255))
