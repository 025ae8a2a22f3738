"""Show trials that have ended in MLflow: many a turn, each in as few requests as there can be.

While a sweep goes on this takes a share of the time, so that its trials have the rest; then all of
it. What somebody else has begun to show is left to the mirror of single jobs.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from core import jobs, sweeps
from core.data.storage.stores import Store
from core.db.locks import end_turn
from core.db.session import reading, transaction
from core.db.tables import Job, Sweep
from core.errors import ChainruleError
from core.settings import Settings
from core.tracking import MetricPoint, MlflowServer, tell_whole
from worker.mlflow.artifacts import artifacts
from worker.mlflow.description import Subject, read_subject
from worker.mlflow.jobs import TURN_SECONDS, Mirror

log = structlog.get_logger()

_SHARE = 9.0
"""While a sweep goes on the mirror rests so many times as long as it took."""
_LONGEST_REST_SECONDS = 30.0
_BATCH = 50
_BATCH_SECONDS = 10.0
_CHUNKS = 1000


@dataclass(frozen=True)
class _Trial:
    """A trial's job, and the points of it that MLflow is to have."""

    subject: Subject
    lacking: jobs.Unmirrored


class TrialMirror:
    """Brings ended trials to MLflow; those that are not shown are passed over."""

    def __init__(self, engine: Engine, store: Store, settings: Settings, mirror: Mirror) -> None:
        """`mirror` is used for single jobs."""
        self._engine = engine
        self._store = store
        self._settings = settings
        self._mirror = mirror
        self._server = MlflowServer(settings.mlflow_url)
        self._experiments: dict[str, str] = {}
        self._second_runs: list[str] = []
        self._rests_until = 0.0

    def close(self) -> None:
        """Let go of the connections."""
        self._server.close()

    def look(self) -> int:
        """Mirror some trials, unless it is time to rest; how many MLflow now has all of.

        While MLflow is away nothing is counted against them. Raises UnavailableError when the
        database does not answer.
        """
        begun = time.monotonic()
        with reading(self._engine) as session:
            going_on = sweeps.any_runs(session)
            if going_on and begun < self._rests_until:
                return 0
            behind = jobs.behind(session, trials=True, limit=_BATCH)
        if not behind or not self._server.healthy():
            return 0
        done = self.turn(behind)
        if going_on:
            rest = min(_SHARE * (time.monotonic() - begun), _LONGEST_REST_SECONDS)
            self._rests_until = time.monotonic() + rest
        return done

    def turn(self, job_ids: Sequence[str]) -> int:
        """Mirror these jobs of trials, or as many as there is time for; how many are done."""
        with transaction(self._engine) as session:
            ours = jobs.begin_runs(session, job_ids, TURN_SECONDS)
        others = [job_id for job_id in job_ids if job_id not in set(ours)]
        return self._tell_all(ours) + sum(self._mirror.turn(job_id) for job_id in others)

    def _tell_all(self, job_ids: Sequence[str]) -> int:
        """Make the runs of jobs that have none; those left over wait for the next turn."""
        told: dict[str, str | None] = {}
        untouched = set(job_ids)
        trials = self._read(job_ids)
        stop_at = time.monotonic() + _BATCH_SECONDS
        self._experiments.clear()
        try:
            for trial in trials:
                job_id, nesting = trial.subject.job_id, trial.subject.nesting
                if time.monotonic() >= stop_at:
                    break
                if nesting.shown and nesting.waits:
                    continue
                untouched.discard(job_id)
                told[job_id] = self._tell(trial) if nesting.shown else None
        except ChainruleError as error:
            log.info("the mirror of trials waits", reason=error.detail)
        with transaction(self._engine) as session:
            jobs.unbegin_runs(session, untouched)
            done = sum(
                self._settle(session, trial, told[trial.subject.job_id])
                for trial in trials
                if trial.subject.job_id in told
            )
        self._delete_second_runs()
        return done

    def _read(self, job_ids: Sequence[str]) -> list[_Trial]:
        with reading(self._engine) as session:
            rows = [jobs.get(session, job_id) for job_id in job_ids]
            mine = {row.tags.get(jobs.SWEEP_TAG) for row in rows}
            # Held, so that each is read once.
            _held = session.scalars(select(Sweep).where(Sweep.id.in_(mine))).all()
            return [
                _Trial(
                    read_subject(session, row, self._settings),
                    jobs.unmirrored(session, row.id, limit=_CHUNKS),
                )
                for row in rows
            ]

    def _tell(self, trial: _Trial) -> str:
        """Make the run of a trial, with all there is of it; the run's id."""
        subject, name = trial.subject, trial.subject.description.experiment
        if name not in self._experiments:
            self._experiments[name] = self._server.experiment_id(name)
        return tell_whole(
            self._server,
            self._experiments[name],
            subject.description,
            subject.status,
            ended_at_ms=subject.finished_at_ms,
            tags=subject.tags,
            points=[MetricPoint(p.key, p.value, p.at_ms, p.step) for p in trial.lacking.points],
            artifacts=lambda run_id: artifacts(self._engine, self._store, subject, run_id),
        )

    def _settle(self, session: Session, trial: _Trial, run_id: str | None) -> bool:
        """Note what was told of a trial; whether that is all there is of it."""
        subject = trial.subject
        end_turn(session, Job, subject.job_id)
        if run_id is None:
            return jobs.pass_over(session, subject.job_id, subject.status)
        name = subject.description.experiment
        jobs.record_experiment(session, name, self._experiments[name])
        if jobs.record_run(session, subject.job_id, run_id) != run_id:
            # This process stood still for longer than its turn, and another one went on.
            self._second_runs.append(run_id)
            return False
        jobs.mark_mirrored(session, trial.lacking.chunk_ids)
        return jobs.record_mirrored(session, subject.job_id, subject.status, run_id)

    def _delete_second_runs(self) -> None:
        while self._second_runs:
            run_id = self._second_runs.pop()
            log.warning("a second run of a trial is deleted", run=run_id)
            try:
                self._server.delete_run(run_id)
            except ChainruleError as error:
                log.warning("a second run stays in MLflow", run=run_id, reason=error.detail)
