"""Nodes and their workers, with slots, queues, devices and versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, case, func, or_, select, update
from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus
from core.db.availability import ALIVE_SECONDS, alive, takes_jobs
from core.db.clock import now
from core.db.tables import Job, Node, Worker
from core.db.upsert import upsert
from core.errors import NotFoundError, existing
from core.spec.version import SPEC_VERSION


@dataclass(frozen=True)
class NodeState:
    """A node as it is now: its row, its live workers, and the number of jobs that it runs."""

    node: Node
    workers: list[Worker]
    running: int

    @property
    def alive(self) -> bool:
        """Whether it has a worker that sent a heartbeat lately."""
        return bool(self.workers)

    @property
    def slots(self) -> int:
        """How many jobs its live workers run at once."""
        return sum(worker.slots for worker in self.workers)

    @property
    def queues(self) -> list[str]:
        """The queues that its live workers serve."""
        return sorted({queue for worker in self.workers for queue in worker.queues})


@dataclass(frozen=True)
class QueueWorkers:
    """The live workers of a queue: the highest spec version read, and whether one takes jobs."""

    spec_version: int
    take_jobs: bool


def heartbeat(  # noqa: PLR0913 - one argument for each column that a worker reports
    session: Session,
    *,
    node: str,
    worker: str,
    host: str,
    pid: int,
    slots: int,
    queues: Sequence[str],
    versions: dict[str, Any],
    devices: Sequence[Any] = (),
    datasets: Sequence[str] = (),
    peer_url: str | None = None,
    suspended_for: str | None = None,
) -> bool:
    """Record that the process named `worker` is alive on `node`; True if it is to drain.

    `datasets` are the digests of the dataset versions in its cache, `peer_url` is where it serves
    chunks, and `suspended_for` the reason why its circuit breaker is open, None while it is closed.
    A worker that drains saves checkpoints, gives its jobs back and claims no new ones.
    """
    machine = {"host": host, "devices": list(devices), "versions": versions}
    draining_at = session.scalar(
        upsert(session, Node)
        .values(name=node, **machine)
        .on_conflict_do_update(index_elements=["name"], set_={**machine, "heartbeat_at": now()})
        .returning(Node.draining_at)
    )
    process = {
        "node": node,
        "pid": pid,
        "slots": slots,
        "queues": list(queues),
        "spec_version": SPEC_VERSION,
        "datasets": list(datasets),
        "peer_url": peer_url,
        "suspended_for": suspended_for and suspended_for[:255],
    }
    suspended = suspended_for is not None
    worker_draining_at = session.scalar(
        upsert(session, Worker)
        .values(id=worker, suspended_at=now() if suspended else None, **process)
        .on_conflict_do_update(
            index_elements=["id"],
            set_={
                **process,
                "heartbeat_at": now(),
                "stopped_at": None,
                "suspended_at": func.coalesce(Worker.suspended_at, now()) if suspended else None,
            },
        )
        .returning(Worker.draining_at)
    )
    return draining_at is not None or worker_draining_at is not None


def draining(session: Session, worker: str) -> bool:
    """Whether `worker` is to drain; cheap enough to be called every second."""
    statement = (
        select(Worker.id)
        .join(Node, Node.name == Worker.node)
        .where(
            Worker.id == worker, or_(Worker.draining_at.is_not(None), Node.draining_at.is_not(None))
        )
    )
    return session.scalar(statement) is not None


def stopped(session: Session, worker: str) -> None:
    """Record that `worker` ended on purpose, so that it counts as gone at once."""
    session.execute(update(Worker).where(Worker.id == worker).values(stopped_at=now()))


def drain(session: Session, name: str, *, on: bool = True) -> Node:
    """Drain the workers of a node, or with `on=False` let them claim jobs again.

    Raises NotFoundError.
    """
    node = existing(session.get(Node, name), f"there is no node {name}")
    if on != (node.draining_at is not None):
        node.draining_at = now() if on else None
        session.flush()
    return node


def drain_worker(session: Session, node: str, name: str, *, on: bool = True) -> Worker:
    """Like `drain`, for one worker of a node. Raises NotFoundError."""
    worker = session.get(Worker, name)
    if worker is None or worker.node != node:
        raise NotFoundError(f"there is no worker {name} on node {node}")
    if on != (worker.draining_at is not None):
        worker.draining_at = now() if on else None
        session.flush()
    return worker


def list_nodes(session: Session, *, alive_seconds: float = ALIVE_SECONDS) -> list[NodeState]:
    """All nodes that ever had a worker, by name, as they are now."""
    living: dict[str, list[Worker]] = {}
    for worker in session.scalars(select(Worker).where(*alive(alive_seconds)).order_by(Worker.id)):
        living.setdefault(worker.node, []).append(worker)
    counts = session.execute(
        select(Job.node, func.count()).where(Job.status == JobStatus.RUNNING).group_by(Job.node)
    )
    running = {row[0]: int(row[1]) for row in counts}
    return [
        NodeState(node, living.get(node.name, []), running.get(node.name, 0))
        for node in session.scalars(select(Node).order_by(Node.name))
    ]


def get_node(session: Session, name: str, *, alive_seconds: float = ALIVE_SECONDS) -> NodeState:
    """One node as it is now. Raises NotFoundError."""
    for state in list_nodes(session, alive_seconds=alive_seconds):
        if state.node.name == name:
            return state
    raise NotFoundError(f"there is no node {name}")


def slots(session: Session, *, alive_seconds: float = ALIVE_SECONDS) -> dict[str, int]:
    """For each queue, how many jobs the live workers that claim jobs run at once."""
    statement = (
        select(Worker).join(Node, Node.name == Worker.node).where(*takes_jobs(alive_seconds))
    )
    total: dict[str, int] = {}
    for worker in session.scalars(statement):
        for queue in worker.queues:
            total[queue] = total.get(queue, 0) + worker.slots
    return total


def queue_workers(
    session: Session, *, alive_seconds: float = ALIVE_SECONDS
) -> dict[str, QueueWorkers]:
    """For each queue that live workers serve, what these workers can do."""
    statement = (
        select(Worker.queues, Worker.spec_version, and_(*takes_jobs(alive_seconds)))
        .join(Node, Node.name == Worker.node)
        .where(*alive(alive_seconds))
    )
    states: dict[str, QueueWorkers] = {}
    for queues, version, taking in session.execute(statement):
        for queue in queues:
            other = states.get(queue, QueueWorkers(version, take_jobs=False))
            states[queue] = QueueWorkers(
                max(other.spec_version, version), take_jobs=other.take_jobs or bool(taking)
            )
    return states


def peers(session: Session, *, alive_seconds: float = ALIVE_SECONDS) -> list[str]:
    """The URLs at which live workers serve chunks."""
    statement = select(Worker.peer_url).where(*alive(alive_seconds), Worker.peer_url.is_not(None))
    return sorted({url for url in session.scalars(statement) if url})


def suspended(session: Session, *, alive_seconds: float = ALIVE_SECONDS) -> tuple[int, int]:
    """The number of live workers whose circuit breaker is open, and of all live workers."""
    counted = select(func.count(Worker.suspended_at), func.count()).where(*alive(alive_seconds))
    held, all_ = session.execute(counted).one()
    return int(held), int(all_)


def worker_states(session: Session, *, alive_seconds: float = ALIVE_SECONDS) -> dict[str, int]:
    """The number of live workers in each state: `claiming`, `draining`, `suspended`."""
    suspended = Worker.suspended_at.is_not(None)
    draining = Worker.draining_at.is_not(None) | Node.draining_at.is_not(None)
    state = case((suspended, "suspended"), (draining, "draining"), else_="claiming")
    live = (
        select(state.label("state"))
        .select_from(Worker)
        .join(Node, Node.name == Worker.node)
        .where(*alive(alive_seconds))
        .subquery()
    )
    counted = select(live.c.state, func.count()).group_by(live.c.state)
    present: dict[str, int] = dict(session.execute(counted).all())
    return {name: present.get(name, 0) for name in ("claiming", "draining", "suspended")}


def running_jobs(session: Session) -> int:
    """The number of running jobs on all nodes."""
    statement = select(func.count()).where(Job.status == JobStatus.RUNNING)
    return session.execute(statement).scalar_one()
