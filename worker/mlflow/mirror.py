"""Mirror rows of the database to MLflow: the client, the lock, the backoff, the order of requests.

The rows say what MLflow lacks. Every step may be interrupted and repeated: a run is found by its
tag, points are sent with the timestamps that they always had, and the end of a run comes last.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, TypeVar

import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core import jobs
from core.db import mirrored
from core.db.mirrored import Mirrored
from core.db.session import reading, transaction
from core.db.tables import Job, Sweep
from core.errors import ChainruleError, InvalidError, NotFoundError, UnavailableError
from core.settings import Settings
from core.tracking import Artifact, MetricPoint, MlflowServer, end_run, ensure_run, is_deleted
from worker.mlflow.availability import Availability
from worker.mlflow.description import Subject

log = structlog.get_logger()

S = TypeVar("S", bound=Subject)

_LOOK_SECONDS = 30.0
_SEND_SECONDS = 10.0


@dataclass(frozen=True)
class Batch:
    """Metric points to send, possibly none, and what to record once MLflow has them."""

    points: list[MetricPoint]
    mark: Callable[[Session], None]


class Mirror(ABC, Generic[S]):
    """Keeps the runs of one kind of row up to date. Without an MLflow URL it does nothing.

    A row is mirrored by one process at a time, which holds the row's lock. Subclasses describe
    their rows; the methods that take a session raise UnavailableError and never commit.
    """

    kind: ClassVar[str]
    """What a row is, in log messages."""
    tag: ClassVar[str]
    """The tag of a run that holds the id of its row."""
    table: ClassVar[Mirrored]
    lock_seconds: ClassVar[float]
    """How long a lock lasts; each artifact extends it."""
    rest_factor: ClassVar[float] = 0.0
    """A row rests this many times as long as mirroring it took."""
    min_rest_seconds: ClassVar[float] = 0.0

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        url, token = settings.mlflow_url, settings.mlflow_token.get_secret_value()
        self.server = MlflowServer(url, token) if url else None
        self._availability = Availability(self.server) if self.server else None

    @property
    def enabled(self) -> bool:
        """Whether there is an MLflow to mirror to."""
        return self.server is not None

    def close(self) -> None:
        """Close the connections."""
        if self.server is not None:
            self.server.close()

    def look(self) -> int:
        """Mirror the rows that are behind, for half a minute; how many are up to date now.

        Raises UnavailableError when the database does not answer.
        """
        with reading(self._engine) as session:
            row_ids = self.behind(session)
        return self.sync_all(row_ids) if row_ids and self.available() else 0

    def sync_all(self, row_ids: Sequence[str]) -> int:
        """Mirror these rows, or as many as there is time for; how many are up to date now."""
        stop_at = time.monotonic() + _LOOK_SECONDS
        return sum(self.sync(row_id) for row_id in row_ids if time.monotonic() < stop_at)

    def sync(self, row_id: str) -> bool:
        """Mirror one row; True when MLflow has all of it.

        After an error the row backs off for longer and longer; while MLflow does not answer, no
        error is counted. Raises UnavailableError when the database does not answer.
        """
        if self.server is None:
            return True
        if not self.available():
            return False
        with transaction(self._engine) as session:
            if not mirrored.acquire_lock(session, self.table, row_id, self.lock_seconds):
                return False
        locked_at = time.monotonic()
        try:
            up_to_date = self._sync(self.server, row_id)
        except ChainruleError as error:
            self._fail(row_id, error)
            return False
        rest = max(self.min_rest_seconds, self.rest_factor * (time.monotonic() - locked_at))
        with transaction(self._engine) as session:
            mirrored.release_lock(session, self.table, row_id, rest)
        return up_to_date

    def available(self) -> bool:
        """Whether MLflow answers, or did so a moment ago."""
        return self._availability is not None and self._availability.check()

    def _sync(self, server: MlflowServer, row_id: str) -> bool:
        with reading(self._engine) as session:
            subject = self.describe(session, row_id)
        if not subject.shown:
            with transaction(self._engine) as session:
                return self.skip_run(session, subject)
        if subject.waits:
            raise UnavailableError("the parent run does not exist yet")
        run_id = subject.run_id or self._create_run(server, subject)
        if not self.send_points(server, run_id, row_id):
            return False
        if subject.mirrored_status == subject.status.value:
            return True
        if not subject.complete:
            return False
        tags, artifacts = self.results(replace(subject, run_id=run_id))
        description = subject.description
        if not end_run(
            server,
            run_id,
            subject.status,
            ended_at_ms=subject.ended_at_ms,
            tags=tags | dict.fromkeys(subject.removed_tags),
            artifacts=self._locked(row_id, artifacts),
            renamed=(description.first_name, description.name),
            model=description.model,
        ):
            return False
        with transaction(self._engine) as session:
            return self.record_mirrored(session, subject, run_id)

    def send_points(self, server: MlflowServer, run_id: str, row_id: str) -> bool:
        """Send the points that the run lacks, for ten seconds; False when some are left.

        Raises as MlflowServer does, UnavailableError when the database does not answer.
        """
        stop_at = time.monotonic() + _SEND_SECONDS
        while time.monotonic() < stop_at:
            with reading(self._engine) as session:
                batch = self.next_batch(session, row_id)
            if batch is None:
                return True
            try:
                server.log_points(run_id, batch.points)
            except InvalidError:
                # MLflow takes no points for a run that somebody deleted.
                if not is_deleted(server, run_id):
                    raise
            with transaction(self._engine) as session:
                batch.mark(session)
        return False

    def _create_run(self, server: MlflowServer, subject: S) -> str:
        """Create the run of a row, or find it, and record it."""
        run = ensure_run(server, subject.description)
        with transaction(self._engine) as session:
            jobs.record_experiment(session, subject.description.experiment, run.experiment_id)
            run_id = self.record_run(session, subject.row_id, run.run_id)
        if run_id != run.run_id:
            log.warning("a second run is deleted", kind=self.kind, id=subject.row_id)
            server.delete_run(run.run_id)
        return run_id

    def _locked(self, row_id: str, artifacts: Iterable[Artifact]) -> Iterator[Artifact]:
        """The artifacts; the lock is extended before each, so that it need not be long."""
        for artifact in artifacts:
            with transaction(self._engine) as session:
                mirrored.extend_lock(session, self.table, row_id, self.lock_seconds)
            yield artifact

    def _fail(self, row_id: str, error: ChainruleError) -> None:
        lost = isinstance(error, NotFoundError)
        if lost:
            log.warning("MLflow lost a run: it is created again", kind=self.kind, id=row_id)
        level = log.error if isinstance(error, InvalidError) else log.info
        level("not mirrored", kind=self.kind, id=row_id, reason=error.detail)
        with transaction(self._engine) as session:
            if lost:
                self.forget_run(session, row_id)
            mirrored.back_off(session, self.table, row_id)

    def skip_run(self, session: Session, subject: S) -> bool:
        """Record that a row that is not shown gets no run; False when that changed meanwhile."""
        raise NotImplementedError

    def record_run(self, session: Session, row_id: str, run_id: str) -> str:
        """Record the run of a row unless it has one; the run that it has now."""
        return mirrored.record_run(session, self.table, row_id, run_id)

    def forget_run(self, session: Session, row_id: str) -> None:
        """Forget a run that MLflow lost; all of the row is sent to a new one."""
        mirrored.forget_run(session, self.table, row_id)

    @abstractmethod
    def behind(self, session: Session) -> list[str]:
        """Ids of rows whose runs may not be up to date, oldest first."""

    @abstractmethod
    def describe(self, session: Session, row_id: str) -> S:
        """What MLflow shows of a row. Raises NotFoundError."""

    @abstractmethod
    def next_batch(self, session: Session, row_id: str) -> Batch | None:
        """The next metric points that MLflow lacks; None when it has all."""

    @abstractmethod
    def results(self, subject: S) -> tuple[dict[str, str], Iterable[Artifact]]:
        """The tags and files that a run gets with its status; `subject` has the run's id."""

    @abstractmethod
    def record_mirrored(self, session: Session, subject: S, run_id: str) -> bool:
        """Record that MLflow confirmed the status; False when the row changed in the meantime."""

    @abstractmethod
    def row(self, session: Session, row_id: str) -> Job | Sweep:
        """The row. Raises NotFoundError."""

    @abstractmethod
    def page(
        self, session: Session, cursor: str | None
    ) -> tuple[Sequence[Job | Sweep], str | None]:
        """A page of rows whose runs may be compared with them, and the next page's cursor."""
