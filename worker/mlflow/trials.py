"""Mirror ended trials to MLflow: many at a time, each in as few requests as possible.

While a sweep runs, this takes a share of the time only, so that the trials have the rest. Trials
that another process has begun to mirror are mirrored like single jobs.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core import jobs, sweeps
from core.data.storage.stores import Store
from core.db.mirrored import release_lock
from core.db.session import reading, transaction
from core.errors import ChainruleError
from core.settings import Settings
from core.tracking import MetricPoint, MlflowServer, create_ended_run
from worker.mlflow.artifacts import artifacts
from worker.mlflow.description import JobSubject, describe_job
from worker.mlflow.jobs import JobMirror

log = structlog.get_logger()

_REST_FACTOR = 9.0
"""While a sweep runs, the mirror rests this many times as long as a batch took."""
_MAX_REST_SECONDS = 30.0
_BATCH = 50
_BATCH_SECONDS = 10.0
_CHUNKS = 1000


@dataclass(frozen=True)
class _Trial:
    """The job of a trial, and the points of it that MLflow lacks."""

    subject: JobSubject
    lacking: jobs.Unmirrored


class TrialMirror(JobMirror):
    """Mirrors the jobs of trials that have ended; those that get no run are skipped."""

    def __init__(self, engine: Engine, store: Store, settings: Settings) -> None:
        super().__init__(engine, store, settings)
        self._experiments: dict[str, str] = {}
        self._second_runs: list[str] = []
        self._rests_until = 0.0

    def behind(self, session: Session) -> list[str]:
        return jobs.behind(session, trials=True, limit=_BATCH)

    def look(self) -> int:
        """Mirror a batch of trials, unless it is time to rest; how many are up to date now.

        Raises UnavailableError when the database does not answer.
        """
        began_at = time.monotonic()
        with reading(self._engine) as session:
            sweep_runs = sweeps.any_runs(session)
            if sweep_runs and began_at < self._rests_until:
                return 0
            row_ids = self.behind(session)
        if not row_ids or not self.available():
            return 0
        count = self.sync_all(row_ids)
        if sweep_runs:
            rest = min(_REST_FACTOR * (time.monotonic() - began_at), _MAX_REST_SECONDS)
            self._rests_until = time.monotonic() + rest
        return count

    def sync_all(self, row_ids: Sequence[str]) -> int:
        """Mirror these jobs of trials, or as many as there is time for; how many are done."""
        if self.server is None or not self.available():
            return 0
        with transaction(self._engine) as session:
            reserved = jobs.reserve_runs(session, row_ids, self.lock_seconds)
        others = [row_id for row_id in row_ids if row_id not in set(reserved)]
        return self._create_runs(self.server, reserved) + super().sync_all(others)

    def _create_runs(self, server: MlflowServer, job_ids: Sequence[str]) -> int:
        """Create the runs of reserved jobs; those that are left over wait for the next batch."""
        run_ids: dict[str, str | None] = {}  # None: the job gets no run
        untouched = set(job_ids)
        trials = self._read(job_ids)
        stop_at = time.monotonic() + _BATCH_SECONDS
        self._experiments.clear()
        try:
            for trial in trials:
                subject = trial.subject
                if time.monotonic() >= stop_at:
                    break
                if subject.shown and subject.waits:
                    continue
                untouched.discard(subject.row_id)
                run_ids[subject.row_id] = self._create(server, trial) if subject.shown else None
        except ChainruleError as error:
            log.info("not mirrored", kind="trials", reason=error.detail)
        with transaction(self._engine) as session:
            jobs.unreserve_runs(session, untouched)
            count = sum(
                self._record(session, trial, run_ids[trial.subject.row_id])
                for trial in trials
                if trial.subject.row_id in run_ids
            )
        self._delete_second_runs(server)
        return count

    def _read(self, job_ids: Sequence[str]) -> list[_Trial]:
        with reading(self._engine) as session:
            rows = [jobs.get(session, job_id) for job_id in job_ids]
            # Referenced while the trials are described, so that each sweep is read once.
            parents = sweeps.of_jobs(session, rows)
            trials = [
                _Trial(
                    describe_job(session, row, self._settings),
                    jobs.unmirrored(session, row.id, limit=_CHUNKS),
                )
                for row in rows
            ]
            del parents
            return trials

    def _create(self, server: MlflowServer, trial: _Trial) -> str:
        """Create the run of a trial with all of its data; the run's id."""
        subject, name = trial.subject, trial.subject.description.experiment
        if name not in self._experiments:
            self._experiments[name] = server.experiment_id(name, subject.description.metric)
        return create_ended_run(
            server,
            self._experiments[name],
            subject.description,
            subject.status,
            ended_at_ms=subject.ended_at_ms,
            tags=subject.tags,
            points=[MetricPoint(p.key, p.value, p.at_ms, p.step) for p in trial.lacking.points],
            artifacts=lambda run_id: artifacts(
                self._engine, self._store, replace(subject, run_id=run_id)
            ),
        )

    def _record(self, session: Session, trial: _Trial, run_id: str | None) -> bool:
        """Record the run of a trial; whether MLflow has all of it now."""
        subject = trial.subject
        release_lock(session, self.table, subject.row_id)
        if run_id is None:
            return self.skip_run(session, subject)
        name = subject.description.experiment
        jobs.record_experiment(session, name, self._experiments[name])
        if self.record_run(session, subject.row_id, run_id) != run_id:
            # This process stood still for longer than its lock, and another one took over.
            self._second_runs.append(run_id)
            return False
        jobs.mark_mirrored(session, trial.lacking.chunk_ids)
        return self.record_mirrored(session, subject, run_id)

    def _delete_second_runs(self, server: MlflowServer) -> None:
        while self._second_runs:
            run_id = self._second_runs.pop()
            log.warning("a second run is deleted", kind="trial", run=run_id)
            try:
                server.delete_run(run_id)
            except ChainruleError as error:
                log.warning("a second run stays in MLflow", run=run_id, reason=error.detail)
