"""Show sweeps in MLflow: a run for each, below which the runs of its trials are.

As with jobs the rows say what MLflow lacks, and all of it may be cut short and done again.
"""

import json
import re
import time
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine

from core import sweeps
from core.db.locks import end_turn, fail_turn, take_turn
from core.db.session import reading, transaction
from core.db.tables import Sweep
from core.db.types import to_milliseconds
from core.errors import ChainruleError, InvalidError, NotFoundError
from core.settings import Settings
from core.status import SweepStatus
from core.tracking import (
    SWEEP_TAG,
    Artifact,
    MetricPoint,
    MlflowServer,
    RunDescription,
    end_run,
    ensure_run,
    flatten,
    mlflow_status,
)
from worker.mlflow.description import dataset_input

log = structlog.get_logger()

TURN_SECONDS = 150.0
_SHARE = 20.0
"""A sweep that goes on rests so many times as long as its last turn took."""
_LEAST_REST_SECONDS = 2.0


@dataclass(frozen=True)
class _Subject:
    """What the mirror needs of a sweep, read once a turn."""

    status: SweepStatus
    told: str | None
    run_id: str | None
    over: bool
    description: RunDescription
    points: list[MetricPoint]
    ended_at_ms: int | None


class SweepMirror:
    """Brings sweeps to MLflow, each for a moment at a time."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._server = MlflowServer(settings.mlflow_url)
        self._sent: dict[str, tuple[str, list[MetricPoint]]] = {}
        """By sweep its run, and the points that this run has got."""

    def close(self) -> None:
        """Let go of the connections."""
        self._server.close()

    def look(self) -> int:
        """Mirror each sweep of which MLflow may know too little; how many it knows all of now.

        While MLflow is away nothing is counted against them. Raises UnavailableError when the
        database does not answer.
        """
        with reading(self._engine) as session:
            behind = sweeps.behind(session)
        if not behind or not self._server.healthy():
            return 0
        self._sent = {one: sent for one, sent in self._sent.items() if one in behind}
        return sum(self.turn(sweep_id) for sweep_id in behind)

    def turn(self, sweep_id: str) -> bool:
        """Mirror one sweep; whether MLflow now has all there is of it."""
        begun = time.monotonic()
        with transaction(self._engine) as session:
            if not take_turn(session, Sweep, sweep_id, TURN_SECONDS):
                return False
        try:
            done = self._turn(sweep_id)
        except ChainruleError as error:
            level = log.error if isinstance(error, InvalidError) else log.info
            level("the mirror of a sweep waits", sweep=sweep_id, reason=error.detail)
            self._sent.pop(sweep_id, None)
            with transaction(self._engine) as session:
                if isinstance(error, NotFoundError):
                    sweeps.forget_sweep_run(session, sweep_id)
                fail_turn(session, Sweep, sweep_id)
            return False
        rest = max(_LEAST_REST_SECONDS, _SHARE * (time.monotonic() - begun))
        with transaction(self._engine) as session:
            end_turn(session, Sweep, sweep_id, rest)
        return done

    def _turn(self, sweep_id: str) -> bool:
        subject = self._read(sweep_id)
        run_id = subject.run_id
        if run_id is None:
            run_id = ensure_run(self._server, subject.description).run_id
            with transaction(self._engine) as session:
                sweeps.record_sweep_run(session, sweep_id, run_id)
        sent_to, sent = self._sent.get(sweep_id, (run_id, []))
        known = sent if sent_to == run_id else []
        fresh = [point for point in subject.points if point not in known]
        if fresh:
            self._server.log_points(run_id, fresh)
            self._sent[sweep_id] = run_id, subject.points
        if subject.told == subject.status.value:
            return True
        if subject.status.terminal and not subject.over:
            return False
        return self._end(sweep_id, run_id, subject)

    def _end(self, sweep_id: str, run_id: str, subject: _Subject) -> bool:
        """Tell MLflow how it stands; once it is over also what came of it."""
        tags, artifacts = {"chainrule.status": subject.status.value}, []
        if subject.over:
            with transaction(self._engine) as session:
                sweeps.show_best(session, sweeps.get(session, sweep_id, lock=True))
            with reading(self._engine) as session:
                found = sweeps.findings(session, sweep_id, curves=True)
                row = sweeps.get(session, sweep_id)
                best = [(one.number, one.job_id) for one in sweeps.best(session, row)]
                files = {"sweep.json": json.dumps(row.spec, indent=2)}
                if best:
                    document = sweeps.best_job(session, sweep_id)[1]
                    files["best.json"] = json.dumps(document, indent=2)
                    tags |= {"chainrule.best_trial": str(best[0][0]),
                             "chainrule.best_job": str(best[0][1] or "")}  # fmt: skip
            files |= {"trials.csv": found.table(), "plots.html": found.album()}
            artifacts = [Artifact(name, text.encode()) for name, text in files.items() if text]
        if not end_run(
            self._server,
            run_id,
            subject.status,
            ended_at_ms=subject.ended_at_ms,
            tags=tags,
            artifacts=artifacts,
        ):
            return False
        with transaction(self._engine) as session:
            return sweeps.record_sweep_mirrored(session, sweep_id, subject.status, run_id)

    def _read(self, sweep_id: str) -> _Subject:
        with reading(self._engine) as session:
            row = sweeps.get(session, sweep_id)
            return _Subject(
                row.status,
                row.mirrored_status,
                row.mlflow_run_id,
                sweeps.over(session, row),
                _description(row, self._settings),
                [
                    MetricPoint(mark.key, mark.value, to_milliseconds(mark.at), mark.step)
                    for mark in sweeps.marks(session, row)
                ],
                to_milliseconds(row.finished_at) if row.finished_at else None,
            )


class SweepReconciler:
    """Compares what MLflow shows of sweeps with the rows, and has what differs told anew."""

    def __init__(self, engine: Engine, server: MlflowServer) -> None:
        self._engine = engine
        self._server = server
        self._cursor: str | None = None

    def look(self) -> int:
        """How many sweeps of a page MLflow has lost or shows otherwise.

        Raises UnavailableError when MLflow or the database does not answer.
        """
        with reading(self._engine) as session:
            page = sweeps.list_sweeps(session, cursor=self._cursor, limit=50)
        self._cursor = page.next
        return sum(self._check(row) for row in page.items if _mirrored(row))

    def _check(self, row: Sweep) -> bool:
        try:
            info = self._server.get_run(str(row.mlflow_run_id))["info"]
        except NotFoundError:
            log.warning("MLflow lost the run of a sweep", sweep=row.id)
            with transaction(self._engine) as session:
                sweeps.forget_sweep_run(session, row.id)
            return True
        deleted = info.get("lifecycle_stage") == "deleted"
        if deleted or info["status"] == mlflow_status(row.status):
            return False
        log.warning("MLflow shows another state of a sweep", sweep=row.id, shown=info["status"])
        with transaction(self._engine) as session:
            sweeps.tell_sweep_again(session, row.id)
        return True


def _mirrored(row: Sweep) -> bool:
    return row.mlflow_run_id is not None and row.mirrored_status == row.status.value


def _description(row: Sweep, settings: Settings) -> RunDescription:
    spec = row.spec
    job = spec["job"]
    note = str(job.get("description") or "")
    if settings.public_url:
        address = f"{settings.public_url.rstrip('/')}/v1/sweeps/{row.id}"
        note = f"{note}\n\n[sweep {row.id[:8]}]({address})".strip()
    return RunDescription(
        job_id=row.id,
        experiment=job["experiment"],
        name=row.name,
        started_at_ms=to_milliseconds(row.created_at),
        params={
            _named(path): value for path, value in flatten(spec).items() if path not in _NOT_PARAMS
        },
        tags={
            **job.get("tags", {}),
            "mlflow.user": row.owner,
            "mlflow.note.content": note,
            "chainrule.dataset_digest": row.dataset_version.digest,
        },
        dataset=dataset_input(row.dataset_version),
        mark=SWEEP_TAG,
    )


_NOT_PARAMS = frozenset({"name", "mlflow"})


def _named(path: str) -> str:
    """A name that MLflow takes: `network[0].units` as `network.0.units`, as jobs have it."""
    return re.sub(r"[^\w\-. :/]", "_", re.sub(r"\[(\d+)\]", r".\1", path), flags=re.ASCII)
