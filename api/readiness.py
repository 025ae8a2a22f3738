"""Asks every outside system whether it answers, within bounded time."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLongError
from dataclasses import dataclass, field
from typing import Literal

from celery import Celery
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from core import nodes
from core.data.storage import damage
from core.data.storage.stores import Store
from core.db.session import reading
from core.db.tables import Job
from core.errors import ChainruleError, DamagedError, UnavailableError
from core.queue import QUEUES, waiting
from core.tracking.mlflow import MlflowServer

SECONDS = 2.0
OFF = "off"
NEEDED = frozenset({"database", "store"})
"""Without these no request can be served; without the others jobs are still accepted."""
PARTS = {"data": "store"}
"""What is not asked about, and counts as off, while something else does not answer."""

Probe = Callable[[], None]


@dataclass(frozen=True)
class Findings:
    """What was found: `ok`, `off` (not configured) or what is wrong, by dependency."""

    dependencies: dict[str, str]

    @property
    def missing(self) -> list[str]:
        """The dependencies that do not answer."""
        return [name for name, state in self.dependencies.items() if state not in {"ok", OFF}]

    @property
    def status(self) -> Literal["ready", "degraded", "unavailable"]:
        """`unavailable` when something needed is missing, `degraded` when anything is."""
        if NEEDED & set(self.missing):
            return "unavailable"
        return "degraded" if self.missing else "ready"


@dataclass
class Prober:
    """Probes of the outside systems; None stands for a system that is not configured.

    A probe that hangs is not started a second time, so asking often costs nothing.
    """

    probes: dict[str, Probe | None]
    _running: dict[str, Future[None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(max(1, len(self.probes)), "readiness")

    def examine(self) -> Findings:
        """Ask all at once."""
        for name, probe in self.probes.items():
            running = self._running.get(name)
            if probe is not None and (running is None or running.done()):
                self._running[name] = self._pool.submit(probe)
        states: dict[str, str] = {}
        for name in self.probes:
            needed = PARTS.get(name)
            answered = needed is None or states.get(needed) == "ok"
            states[name] = self._state(name) if answered else OFF
        return Findings(states)

    def close(self) -> None:
        """Start no more probes."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _state(self, name: str) -> str:
        running = self._running.get(name)
        if running is None:
            return OFF
        try:
            running.result(timeout=SECONDS)
        except TookTooLongError:
            return f"does not answer within {SECONDS:.0f} seconds"
        except ChainruleError as error:
            return error.detail
        except Exception as error:
            # The class tells enough; a driver's text may hold addresses or statements.
            return f"fails: {type(error).__name__}"
        return "ok"


def database(engine: Engine) -> Probe:
    """Does the database answer, and are our tables in it?"""

    def probe() -> None:
        with reading(engine) as session:
            session.execute(select(Job.id).limit(1))

    return probe


def store(opened: Store) -> Probe:
    """Does the store answer?"""

    def probe() -> None:
        try:
            opened.exists("readiness")
        except OSError as error:
            raise UnavailableError(f"the store does not answer: {type(error).__name__}") from error

    return probe


def undamaged(opened: Store) -> Probe:
    """Are all bytes of the store sound, as far as anybody has read them?"""

    def probe() -> None:
        if count := len(damage.damaged_keys(opened)):
            raise DamagedError(
                f"damaged objects of the store: {count:,}; until a worker has a sound copy, upload "
                "the dataset versions again that the scheduler's log names"
            )

    return probe


def workers(engine: Engine) -> Probe:
    """Does every living worker claim jobs, or did a circuit breaker stop some?"""

    def probe() -> None:
        try:
            with reading(engine) as session:
                suspended, living = nodes.suspended(session)
        except (UnavailableError, SQLAlchemyError):
            return  # the database's own probe says so
        if suspended:
            raise UnavailableError(f"{suspended} of {living} claim no jobs: see /v1/nodes")

    return probe


def broker(app: Celery | None) -> Probe | None:
    """Does the broker answer?"""
    if app is None:
        return None

    def probe() -> None:
        waiting(app, QUEUES[0])

    return probe


def mlflow(url: str) -> Probe | None:
    """Does MLflow answer?"""
    if not url:
        return None

    def probe() -> None:
        with MlflowServer(url, timeout_seconds=SECONDS) as server:
            if not server.healthy():
                raise UnavailableError("MLflow does not answer")

    return probe
