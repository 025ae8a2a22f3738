"""Show in MLflow what the database knows of a job, without ever holding up its training.

The rows say what MLflow lacks; one who mirrors a job has a turn of some seconds to itself. All of
it may be cut short anywhere and done again.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Engine

from core import jobs
from core.data.storage.stores import Store
from core.db.locks import end_turn, extend_turn, fail_turn, take_turn
from core.db.session import reading, transaction
from core.db.tables import Job
from core.errors import ChainruleError, InvalidError, NotFoundError, UnavailableError
from core.settings import Settings
from core.tracking import (
    Artifact,
    MetricPoint,
    MlflowServer,
    end_run,
    ensure_run,
    is_deleted,
)
from worker.mlflow.artifacts import artifacts
from worker.mlflow.description import Subject, read_subject

log = structlog.get_logger()

TURN_SECONDS = 30.0
TRIAL_SECONDS = 5.0
"""A trial that ends within so many seconds is shown only then, by the scheduler."""
_BUSY_SECONDS = 10.0
_CHUNKS = 50
_END_SECONDS = 3.0
_LONGEST_PAUSE_SECONDS = 5.0
_WAIT_SECONDS = 60.0


class Mirror:
    """Brings jobs to MLflow, one turn at a time. Without an MLflow URL it does nothing."""

    def __init__(self, engine: Engine, store: Store, settings: Settings) -> None:
        self._engine = engine
        self._store = store
        self._settings = settings
        self._server = MlflowServer(settings.mlflow_url) if settings.mlflow_url else None
        self._there = False
        self._pause = 1.0
        self._ask_at = 0.0

    @property
    def on(self) -> bool:
        """Whether there is an MLflow to mirror to."""
        return self._server is not None

    def close(self) -> None:
        """Let go of the connections."""
        if self._server is not None:
            self._server.close()

    def turn(self, job_id: str) -> bool:
        """Mirror a job for some seconds at most; whether MLflow now has all there is of it.

        A job that MLflow has trouble with rests for a growing while; while MLflow is away all wait
        without being counted. Raises UnavailableError when the database does not answer.
        """
        if self._server is None:
            return True
        if not self._answers(self._server):
            return False
        with transaction(self._engine) as session:
            if not take_turn(session, Job, job_id, TURN_SECONDS):
                return False
        try:
            done = self._turn(self._server, job_id)
        except NotFoundError as error:
            log.warning("MLflow lost a run; it is told anew", job=job_id, reason=error.detail)
            with transaction(self._engine) as session:
                jobs.forget_run(session, job_id)
                fail_turn(session, Job, job_id)
            return False
        except ChainruleError as error:
            level = log.error if isinstance(error, InvalidError) else log.info
            level("the mirror waits", job=job_id, reason=error.detail)
            with transaction(self._engine) as session:
                fail_turn(session, Job, job_id)
            return False
        with transaction(self._engine) as session:
            end_turn(session, Job, job_id)
        return done

    def _answers(self, server: MlflowServer) -> bool:
        """Whether MLflow is there; asked once a second at most, rarer the longer it is away."""
        now = time.monotonic()
        if now < self._ask_at:
            return self._there
        there = server.healthy()
        if there != self._there:
            log.info("MLflow answers" if there else "MLflow does not answer")
        self._there = there
        self._pause = 1.0 if there else min(1.5 * self._pause, _LONGEST_PAUSE_SECONDS)
        self._ask_at = time.monotonic() + self._pause
        return there

    def _turn(self, server: MlflowServer, job_id: str) -> bool:
        subject = self._read(job_id)
        if not subject.nesting.shown:
            with transaction(self._engine) as session:
                return jobs.pass_over(session, job_id, subject.status)
        if subject.nesting.waits:
            raise UnavailableError("the run that its own belongs below is still to be made")
        run_id = subject.run_id or self._begin(server, subject)
        if not self._send_points(server, run_id, job_id):
            return False
        if subject.mirrored_status == subject.status.value:
            return True
        if not end_run(
            server,
            run_id,
            subject.status,
            ended_at_ms=subject.finished_at_ms,
            tags=subject.tags,
            artifacts=self._artifacts(subject, run_id),
        ):
            return False
        with transaction(self._engine) as session:
            return jobs.record_mirrored(session, job_id, subject.status, run_id)

    def _read(self, job_id: str) -> Subject:
        with reading(self._engine) as session:
            return read_subject(session, jobs.get(session, job_id), self._settings)

    def _begin(self, server: MlflowServer, subject: Subject) -> str:
        """Make the run of a job and let its rows point at it."""
        run = ensure_run(server, subject.description)
        with transaction(self._engine) as session:
            jobs.record_experiment(session, subject.description.experiment, run.experiment_id)
            run_id = jobs.record_run(session, subject.job_id, run.run_id)
        if run_id != run.run_id:
            # Another process thought that it had the turn, too.
            server.delete_run(run.run_id)
        return run_id

    def _send_points(self, server: MlflowServer, run_id: str, job_id: str) -> bool:
        """Send the chunks MLflow lacks; False when time for this turn was up before the last."""
        stop_at = time.monotonic() + _BUSY_SECONDS
        while time.monotonic() < stop_at:
            with reading(self._engine) as session:
                lacking = jobs.unmirrored(session, job_id, limit=_CHUNKS)
            if not lacking.chunk_ids:
                return True
            points = [MetricPoint(p.key, p.value, p.at_ms, p.step) for p in lacking.points]
            try:
                server.log_points(run_id, points)
            except InvalidError:
                # Somebody who deleted the run does not want its points.
                if not is_deleted(server, run_id):
                    raise
            with transaction(self._engine) as session:
                jobs.mark_mirrored(session, lacking.chunk_ids)
        return False

    def _artifacts(self, subject: Subject, run_id: str) -> Iterator[Artifact]:
        """The files that an ended run leaves.

        The turn is extended by each: that of one who dies in between is soon over.
        """
        for artifact in artifacts(self._engine, self._store, subject, run_id):
            self._extend(subject)
            yield artifact

    def _extend(self, subject: Subject) -> None:
        with transaction(self._engine) as session:
            extend_turn(session, Job, subject.job_id, TURN_SECONDS)


@dataclass(frozen=True)
class _Watch:
    """A job to mirror between two monotonic moments; while it runs the end is not known."""

    trial: bool
    begins: float
    until: float | None = None


class MirrorThread:
    """Mirrors the jobs of one slot beside their training, about once a second each."""

    def __init__(self, mirror: Mirror, *, pause_seconds: float = 1.0) -> None:
        self._mirror = mirror
        self._pause_seconds = pause_seconds
        self._watched: dict[str, _Watch] = {}
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, job_id: str, *, trial: bool = False) -> None:
        """Mirror a job from now on; a `trial` only after some seconds, most end sooner."""
        if not self._mirror.on:
            return
        with self._lock:
            begins = time.monotonic() + TRIAL_SECONDS if trial else 0.0
            self._watched[job_id] = _Watch(trial, begins)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
                self._thread.start()
        self._woken.set()

    def release(self, job_id: str) -> None:
        """The attempt is over: mirror its job until MLflow has it all, or a minute has passed.

        What is left then is the scheduler's, and all of a trial.
        """
        with self._lock:
            if (watch := self._watched.pop(job_id, None)) is not None and not watch.trial:
                until = time.monotonic() + _WAIT_SECONDS
                self._watched[job_id] = replace(watch, until=until)
        self._woken.set()

    def end(self) -> None:
        """Mirror no more; the scheduler finishes what is left."""
        self._ended.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(_END_SECONDS)
            if self._thread.is_alive():
                return
        self._mirror.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._woken.wait(self._pause_seconds / 2 if self._watched else None)
            # Events of one moment are mirrored together.
            self._woken.clear()
            for job_id, watch in list(self._watched.items()):
                if time.monotonic() >= watch.begins:
                    self._look_after(job_id, watch)
            self._ended.wait(self._pause_seconds / 2)

    def _look_after(self, job_id: str, watch: _Watch) -> None:
        try:
            done = self._mirror.turn(job_id)
        except ChainruleError as error:
            log.info("the mirror waits", job=job_id, reason=error.detail)
            done = False
        except Exception:
            log.exception("the mirror stumbled", job=job_id)
            done = False
        over = watch.until is not None and (done or time.monotonic() >= watch.until)
        with self._lock:
            # A job may be back with a new attempt by now.
            if over and self._watched.get(job_id) is watch:
                del self._watched[job_id]
