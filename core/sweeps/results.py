"""Results of a sweep: plots, the study for Optuna, the best trial as a registered model."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from core import models
from core.db.tables import Job, ModelVersion, Sweep, Trial
from core.errors import ConflictError
from core.search.plot_kinds import PlotKind
from core.search.study import Search, TrialRecord
from core.search.study_export import export
from core.sweeps.queries import best_trial, get, spec_of
from core.sweeps.trial_jobs import job_ids, select_with_jobs, trial_order
from core.sweeps.trial_outcome import mean_reports, record_of

MOST_CURVES = 200
"""Learning curves are plotted of at most so many trials, the newest ones."""


@dataclass(frozen=True)
class SweepResults:
    """A search and its trials, read from the rows at one moment."""

    name: str
    search: Search
    metrics: tuple[str, ...]
    trials: tuple[TrialRecord, ...]

    def plot(self, kind: PlotKind, objective: int = 0) -> str:
        """Return a plot as an HTML page. Raises as `core.search.plots.plot` does."""
        plots: Any = import_module("core.search.plots")
        page: str = plots.plot(self.search, self.trials, kind, self.metrics, objective)
        return page

    def table(self) -> str:
        """Return the trials as CSV: number, status, objectives and point."""
        fields = list(dict.fromkeys(path for trial in self.trials for path in trial.values))
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["trial", "status", *self.metrics, *fields])
        for trial in self.trials:
            objectives: list[Any] = list(trial.objectives) or [""] * len(self.metrics)
            point = [trial.values.get(path, "") for path in fields]
            cells = [json.dumps(v) if isinstance(v, dict | list) else v for v in point]
            writer.writerow([trial.number, trial.outcome, *objectives, *cells])
        return text.getvalue()

    def export(self, path: Path) -> None:
        """Write an Optuna storage with this study to an SQLite file."""
        export(self.search, self.trials, path, self.name)


def read_results(session: Session, sweep_id: str, *, curves: bool = False) -> SweepResults:
    """Return the trials of a sweep; with `curves` also the learning curves of the newest ones.

    Raises NotFoundError.
    """
    sweep = get(session, sweep_id)
    spec = spec_of(sweep)
    statement = select(Trial).where(Trial.sweep_id == sweep_id).order_by(Trial.number)
    rows = list(session.scalars(statement))
    metric = spec.objectives[0].metric
    ids = job_ids(session, sweep, [row.number for row in rows[-MOST_CURVES:]]) if curves else {}
    jobs_of = _jobs_of(session, sweep)
    return SweepResults(
        f"{sweep.name}-{sweep.id[:8]}",
        spec.search(sweep_id),
        tuple(objective.metric for objective in spec.objectives),
        tuple(
            _described(
                record_of(row, mean_reports(session, ids.get(row.number, ()), metric)),
                row,
                jobs_of.get(row.number, ()),
            )
            for row in rows
        ),
    )


def _jobs_of(session: Session, sweep: Sweep) -> dict[int, list[Row[Any]]]:
    """By trial number: the id of each of its jobs, and when it started and ended."""
    statement = select_with_jobs(sweep, Trial.number, Job.id, Job.started_at, Job.finished_at)
    jobs_of: dict[int, list[Row[Any]]] = {}
    for row in session.execute(statement.order_by(*trial_order(sweep))):
        jobs_of.setdefault(row.number, []).append(row)
    return jobs_of


def _described(record: TrialRecord, trial: Trial, jobs: Sequence[Row[Any]]) -> TrialRecord:
    """The record of a trial with the ids of its jobs, and with when it trained."""
    started = [job.started_at for job in jobs if job.started_at is not None]
    ended = [job.finished_at for job in jobs if job.finished_at is not None]
    return replace(
        record,
        labels={"job_id": ",".join(job.id for job in jobs)} if jobs else {},
        started_at=min(started, default=trial.created_at),
        ended_at=max(ended, default=trial.told_at),
    )


def register_best(
    session: Session, sweep_id: str, name: str, *, owner: str, alias: str | None = None
) -> ModelVersion:
    """Register the best trial's model as the next version of `name`; set an alias if given.

    Raises NotFoundError, ConflictError while no trial has finished or if trials are
    cross-validated, and InvalidError for an invalid name.
    """
    sweep = get(session, sweep_id)
    trial = best_trial(session, sweep)
    if trial.job_id is None:
        raise ConflictError(
            "a cross-validated trial has one model for each fold and none of all rows: submit the "
            "best trial's job and register its model"
        )
    description = f"trial {trial.number} of sweep {sweep.name} ({sweep_id})"
    registered = models.register(session, name, trial.job_id, owner=owner, description=description)
    if alias is not None:
        reason = f"best of sweep {sweep_id[:8]}"
        models.set_alias(session, name, alias, registered.version, owner=owner, reason=reason)
    return registered
