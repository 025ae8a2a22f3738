"""Nodes and their workers as the API returns them."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field

from api.resources.base import Read
from core.db import tables
from core.nodes import NodeState


class Worker(Read):
    """A living worker process of a node."""

    id: str
    pid: int
    slots: Annotated[int, Field(description="number of jobs that it runs in parallel")]
    queues: list[str]
    spec_version: Annotated[int, Field(description="newest spec version that it can read")]
    datasets: Annotated[
        list[str], Field(description="SHA-256 of the dataset versions in its cache")
    ]
    started_at: datetime
    heartbeat_at: datetime
    draining_at: datetime | None = None
    suspended_at: datetime | None = Field(None, description="time since which it claims no jobs")
    suspended_for: str | None = Field(None, description="why it claims no jobs")

    @classmethod
    def of(cls, row: tables.Worker) -> Self:
        """The worker in a row."""
        return cls.from_row(row, datasets=row.datasets or [])


class Node(Read):
    """A machine that has or had workers."""

    name: str
    host: str
    alive: Annotated[bool, Field(description="whether a worker sent a heartbeat recently")]
    slots: Annotated[int, Field(description="number of jobs its workers run in parallel")]
    running: Annotated[int, Field(description="number of running jobs")]
    queues: list[str]
    devices: list[Any]
    versions: dict[str, Any]
    created_at: datetime
    heartbeat_at: datetime
    draining_at: datetime | None = Field(None, description="time since which it takes no new jobs")
    workers: list[Worker]

    @classmethod
    def of(cls, state: NodeState) -> Self:
        """A machine and its living workers."""
        return cls.from_row(
            state.node,
            alive=state.alive,
            slots=state.slots,
            running=state.running,
            queues=state.queues,
            workers=[Worker.of(worker) for worker in state.workers],
        )
