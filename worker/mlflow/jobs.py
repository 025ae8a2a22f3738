"""Mirror jobs to MLflow: their parameters, metric points, artifacts and status.

A worker mirrors the jobs that it trains from a thread of its own; the scheduler mirrors the rest.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from chainrule.contract.status import TERMINAL
from core import jobs
from core.data.storage.stores import Store
from core.db.mirrored import Mirrored
from core.db.tables import Job
from core.errors import ChainruleError
from core.settings import Settings
from core.tracking import JOB_TAG, Artifact, MetricPoint
from worker.mlflow.artifacts import artifacts
from worker.mlflow.description import JobSubject, describe_job
from worker.mlflow.mirror import Batch, Mirror

log = structlog.get_logger()

TRIAL_SECONDS = 5.0
"""The job of a trial that ends within this time is mirrored only then, by the scheduler."""
_CHUNKS = 50
_PAGE = 100
_END_SECONDS = 3.0
_RELEASE_SECONDS = 60.0


class JobMirror(Mirror[JobSubject]):
    """Mirrors jobs that are not trials of a sweep, and single trials when asked to."""

    kind: ClassVar[str] = "job"
    tag: ClassVar[str] = JOB_TAG
    table: ClassVar[Mirrored] = Job
    lock_seconds: ClassVar[float] = 30.0

    def __init__(self, engine: Engine, store: Store, settings: Settings) -> None:
        super().__init__(engine, settings)
        self._store = store

    def behind(self, session: Session) -> list[str]:
        return jobs.behind(session, trials=False)

    def describe(self, session: Session, row_id: str) -> JobSubject:
        return describe_job(session, jobs.get(session, row_id), self._settings)

    def next_batch(self, session: Session, row_id: str) -> Batch | None:
        lacking = jobs.unmirrored(session, row_id, limit=_CHUNKS)
        if not lacking.chunk_ids:
            return None
        return Batch(
            [MetricPoint(p.key, p.value, p.at_ms, p.step) for p in lacking.points],
            partial(jobs.mark_mirrored, chunk_ids=lacking.chunk_ids),
        )

    def results(self, subject: JobSubject) -> tuple[dict[str, str], Iterable[Artifact]]:
        return subject.tags, artifacts(self._engine, self._store, subject)

    def skip_run(self, session: Session, subject: JobSubject) -> bool:
        return jobs.skip_run(session, subject.row_id, subject.status)

    def record_mirrored(self, session: Session, subject: JobSubject, run_id: str) -> bool:
        return jobs.record_mirrored(
            session, subject.row_id, subject.status, run_id, edits=subject.edits
        )

    def forget_run(self, session: Session, row_id: str) -> None:
        jobs.forget_run(session, row_id)

    def row(self, session: Session, row_id: str) -> Job:
        return jobs.get(session, row_id)

    def page(self, session: Session, cursor: str | None) -> tuple[Sequence[Job], str | None]:
        """Jobs that have ended: the runs of others change all the time."""
        page = jobs.list_jobs(session, status=tuple(TERMINAL), cursor=cursor, limit=_PAGE)
        return page.items, page.next


@dataclass(frozen=True)
class _Watch:
    """A job to mirror between two times of the monotonic clock; `until` is None while it runs."""

    trial: bool
    begins: float
    until: float | None = None


class MirrorThread:
    """Mirrors the jobs of one slot while they train, about once a second each."""

    def __init__(self, mirror: JobMirror, *, pause_seconds: float = 1.0) -> None:
        self._mirror = mirror
        self._pause_seconds = pause_seconds
        self._watched: dict[str, _Watch] = {}
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, job_id: str, *, trial: bool = False) -> None:
        """Mirror a job from now on; a `trial` only after some seconds, because most end sooner."""
        if not self._mirror.enabled:
            return
        with self._lock:
            begins = time.monotonic() + TRIAL_SECONDS if trial else 0.0
            self._watched[job_id] = _Watch(trial, begins)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
                self._thread.start()
        self._woken.set()

    def release(self, job_id: str) -> None:
        """Stop mirroring a job once MLflow has all of it, or after a minute.

        The scheduler mirrors what is left then. It also mirrors the end of every trial.
        """
        with self._lock:
            if (watch := self._watched.pop(job_id, None)) is not None and not watch.trial:
                until = time.monotonic() + _RELEASE_SECONDS
                self._watched[job_id] = replace(watch, until=until)
        self._woken.set()

    def end(self) -> None:
        """Stop the thread; the scheduler mirrors what is left."""
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
            # Changes that come close together are mirrored together.
            self._woken.clear()
            for job_id, watch in list(self._watched.items()):
                if time.monotonic() >= watch.begins:
                    self._sync(job_id, watch)
            self._ended.wait(self._pause_seconds / 2)

    def _sync(self, job_id: str, watch: _Watch) -> None:
        up_to_date = False
        try:
            up_to_date = self._mirror.sync(job_id)
        except ChainruleError as error:
            log.info("not mirrored", kind="job", id=job_id, reason=error.detail)
        except Exception:
            log.exception("the mirror failed", job=job_id)
        over = watch.until is not None and (up_to_date or time.monotonic() >= watch.until)
        with self._lock:
            # A new attempt may have replaced the watch.
            if over and self._watched.get(job_id) is watch:
                del self._watched[job_id]
