"""Query conditions: which workers are alive and which of them take jobs."""

from typing import Any

from sqlalchemy import String, cast

from core.db.clock import later
from core.db.tables import Node, Worker

ALIVE_SECONDS = 30.0
"""A worker counts as alive for this long after its last heartbeat."""


def alive(seconds: float = ALIVE_SECONDS) -> tuple[Any, ...]:
    """Conditions on a Worker that sent a heartbeat in the last `seconds`."""
    return Worker.heartbeat_at > later(-seconds), Worker.stopped_at.is_(None)


def takes_jobs(seconds: float = ALIVE_SECONDS) -> tuple[Any, ...]:
    """Conditions on a Worker, joined with its Node, that is alive and claims jobs."""
    return (
        *alive(seconds),
        Worker.draining_at.is_(None),
        Worker.suspended_at.is_(None),
        Node.draining_at.is_(None),
    )


def serves(queue: Any) -> Any:
    """The condition that a Worker serves `queue`, a column or a name."""
    # The databases differ in their JSON operators; comparing text works on both.
    return cast(Worker.queues, String).contains('"' + queue + '"')
