"""Readiness probes of the systems that the API depends on, with a time limit."""

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
REQUIRED = frozenset({"database", "store"})
"""Dependencies without which no request can be served."""
PARTS = {"data": "store"}
"""Probes that are skipped, and reported as off, while the named dependency is not ok."""

Probe = Callable[[], None]


@dataclass(frozen=True)
class Report:
    """The state of each dependency: `ok`, `off` (not configured) or an error message."""

    dependencies: dict[str, str]

    @property
    def missing(self) -> list[str]:
        """The dependencies that are not ok."""
        return [name for name, state in self.dependencies.items() if state not in {"ok", OFF}]

    @property
    def status(self) -> Literal["ready", "degraded", "unavailable"]:
        """`unavailable` if a required dependency is missing, `degraded` if another one is."""
        if REQUIRED & set(self.missing):
            return "unavailable"
        return "degraded" if self.missing else "ready"


@dataclass
class Prober:
    """Runs the probes; None stands for a system that is not configured.

    A probe that hangs is not started again, so frequent checks do not pile up.
    """

    probes: dict[str, Probe | None]
    _running: dict[str, Future[None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(max(1, len(self.probes)), "readiness")

    def check(self) -> Report:
        """Run all probes in parallel."""
        for name, probe in self.probes.items():
            running = self._running.get(name)
            if probe is not None and (running is None or running.done()):
                self._running[name] = self._pool.submit(probe)
        states: dict[str, str] = {}
        for name in self.probes:
            parent = PARTS.get(name)
            parent_ok = parent is None or states.get(parent) == "ok"
            states[name] = self._state(name) if parent_ok else OFF
        return Report(states)

    def close(self) -> None:
        """Stop the probes that have not started."""
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
            # Only the class: the text of a driver may contain addresses or statements.
            return f"fails: {type(error).__name__}"
        return "ok"


def database(engine: Engine) -> Probe:
    """Check that the database answers and has the tables of Chainrule."""

    def probe() -> None:
        with reading(engine) as session:
            session.execute(select(Job.id).limit(1))

    return probe


def store(opened: Store) -> Probe:
    """Check that the store answers."""

    def probe() -> None:
        try:
            opened.exists("readiness")
        except OSError as error:
            raise UnavailableError(f"the store does not answer: {type(error).__name__}") from error

    return probe


def undamaged(opened: Store) -> Probe:
    """Check that no object of the store is known to be damaged."""

    def probe() -> None:
        if count := len(damage.damaged_keys(opened)):
            raise DamagedError(
                f"{count:,} damaged objects in the store; workers repair those that they "
                "have copies of; upload the other dataset versions again (see the scheduler's log)"
            )

    return probe


def workers(engine: Engine) -> Probe:
    """Check that no circuit breaker keeps a living worker from claiming jobs."""

    def probe() -> None:
        try:
            with reading(engine) as session:
                suspended, living = nodes.suspended(session)
        except (UnavailableError, SQLAlchemyError):
            return  # the probe of the database reports it
        if suspended:
            raise UnavailableError(f"{suspended} of {living} claim no jobs: see /v1/nodes")

    return probe


def broker(app: Celery | None) -> Probe | None:
    """Check that the broker answers."""
    if app is None:
        return None

    def probe() -> None:
        waiting(app, QUEUES[0])

    return probe


def mlflow(url: str) -> Probe | None:
    """Check that MLflow answers."""
    if not url:
        return None

    def probe() -> None:
        with MlflowServer(url, timeout_seconds=SECONDS) as server:
            if not server.healthy():
                raise UnavailableError("MLflow does not answer")

    return probe
