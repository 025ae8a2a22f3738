"""Nodes and the workers on them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from core.db.clock import now
from core.db.tables.base import Base, Created
from core.db.types import Timestamp


class Node(Base):
    """A machine that has or had workers. Since `draining_at` it takes no new jobs."""

    __tablename__ = "nodes"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    devices: Mapped[list[Any]]
    versions: Mapped[dict[str, Any]]
    created_at: Mapped[Created]
    heartbeat_at: Mapped[datetime] = mapped_column(Timestamp, default=now())
    draining_at: Mapped[datetime | None]


class Worker(Base):
    """A Celery worker process on a node, its queues and the number of its slots.

    `datasets` are the digests of the versions in its cache, `peer_url` is the URL at which other
    workers fetch chunks from it, if any. `spec_version` is the newest version that it can read.
    Since `suspended_at` its circuit breaker keeps it from claiming, because of `suspended_for`.
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
