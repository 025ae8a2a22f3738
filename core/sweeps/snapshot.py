"""Snapshot of a sweep, cached between `advance` calls, and a cheap check for pending work.

A cached snapshot is valid only for the next `advance`. Another process that advances the sweep, or
an edit, raises its fencing token (the column `turn`) and may change anything: then the sweep is
read in full. Otherwise only what changed is read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from chainrule.contract.status import TERMINAL, SweepStatus
from core.db.tables import Fold, Job, MetricChunk, Sweep, Trial
from core.jobs.points import unpack
from core.search.study import Study
from core.spec.sweep import SweepSpec
from core.sweeps.budget import affordable_trials, is_limited, may_start_trials, spent
from core.sweeps.queries import get, spec_of
from core.sweeps.submission import warm_start_trials
from core.sweeps.trial_jobs import job_ids, select_with_jobs, trial_order
from core.sweeps.trial_outcome import mean_curve, mean_reports, record_of

MOST_SUGGESTIONS = 100
"""Most trials that one `advance` starts."""


@dataclass
class Curve:
    """What a job of an open trial logged in `attempt`, up to the metric chunk `cursor`."""

    attempt: int
    cursor: int = 0
    reports: dict[int, float] = field(default_factory=dict)


@dataclass
class History:
    """Trials of a sweep as of the fencing token `token`.

    `judged` is the last epoch that the pruner judged, by open trial; `curves` are by open trial and
    job.
    """

    token: int
    study: Study
    open: set[int]
    judged: dict[int, int]
    curves: dict[int, dict[str, Curve]]


class SnapshotCache:
    """The history of each sweep, kept by a process that advances sweeps repeatedly."""

    def __init__(self) -> None:
        self._histories: dict[str, History] = {}

    def take(self, sweep_id: str, token: int) -> History | None:
        """Remove and return the history of a sweep, if it is valid for this fencing token."""
        history = self._histories.pop(sweep_id, None)
        return history if history is not None and history.token == token - 1 else None

    def keep(self, sweep_id: str, history: History | None) -> None:
        """Keep a history for the next `advance`."""
        if history is not None:
            self._histories[sweep_id] = history

    def retain(self, sweep_ids: Iterable[str]) -> None:
        """Drop the histories of all other sweeps."""
        self._histories = {
            sweep_id: self._histories[sweep_id]
            for sweep_id in sweep_ids
            if sweep_id in self._histories
        }


@dataclass(frozen=True)
class Snapshot:
    """A sweep as it was read.

    `free` is how many trials may start now, `chosen` are points that the owner chose, by number.
    `history` is None if neither sampler nor pruner looks at trials.
    """

    spec: SweepSpec
    free: int
    issued: int
    state: dict[str, Any] | None
    chosen: dict[int, dict[str, Any]]
    history: History | None


def has_work(session: Session, sweep_id: str) -> bool:
    """Cheap, index-only check for pending work on a sweep.

    There is work if a trial may end or start, or if the sweep has a pruner or a budget to watch.
    """
    spec = Sweep.spec
    watched = (
        spec["pruner"]["kind"].as_string() != "none",
        spec["budget"]["seconds"].as_float().is_not(None),
        spec["budget"]["epochs"].as_integer().is_not(None),
    )
    room = (
        Sweep.issued < Sweep.n_trials,
        Sweep.status == SweepStatus.RUNNING,
        Sweep.stopped_by.is_(None),
    )
    columns = select(Sweep.max_parallel, *watched, *room).where(Sweep.id == sweep_id)
    row = session.execute(columns).one_or_none()
    if row is None:
        return False
    max_parallel, flags = row[0], row[1:]
    is_open = Trial.sweep_id == sweep_id, Trial.status == "open"
    open_trials = session.execute(select(func.count()).where(*is_open)).scalar_one()
    if any(flags[: len(watched)]) or not open_trials:
        return True
    if all(flags[len(watched) :]) and open_trials < max_parallel:
        return True
    ended = Job.status.in_(list(TERMINAL))
    own_fold = Fold.sweep_id == Trial.sweep_id, Fold.number == Trial.number
    single = exists().where(*is_open, Job.id == Trial.job_id, ended)
    folded = exists().where(*is_open, *own_fold, Job.id == Fold.job_id, ended)
    return bool(session.execute(select(single | folded)).scalar_one())


def read_snapshot(
    session: Session, sweep_id: str, token: int, history: History | None, ended: Iterable[int]
) -> Snapshot:
    """Read a sweep: in full, or only what changed since `history`.

    `ended` are the trials whose outcome was recorded since then.
    """
    sweep = get(session, sweep_id)
    spec = spec_of(sweep)
    if spec.sampler.ignores_trials and not spec.pruner.prunes:
        history = None
    else:
        if history is None:
            history = _read_history(session, sweep, spec)
        else:
            _update_history(session, sweep, spec, history, ended)
        history.token = token
    is_open = (Trial.sweep_id == sweep_id, Trial.status == "open")
    running = session.execute(select(func.count()).where(*is_open)).scalar_one()
    free = min(sweep.max_parallel - running, sweep.n_trials - sweep.issued, MOST_SUGGESTIONS)
    if is_limited(spec):
        affordable = affordable_trials(spec, spent(session, sweep))
        free = free if affordable is None else min(free, affordable)
    return Snapshot(
        spec,
        max(0, free) if may_start_trials(sweep) else 0,
        sweep.issued,
        sweep.state,
        chosen_points(sweep, spec),
        history,
    )


def chosen_points(sweep: Sweep, spec: SweepSpec) -> dict[int, dict[str, Any]]:
    """Return the points that the owner chose, by trial number: the baseline and those added."""
    added = {int(number): point for number, point in (sweep.added or {}).items()}
    points = dict(enumerate(spec.baseline)) | added
    # The sampler chooses all of a point without fields.
    return {number: point for number, point in points.items() if point}


def _read_history(session: Session, sweep: Sweep, spec: SweepSpec) -> History:
    """Read all trials, and the curves of all jobs if the pruner compares them."""
    metric = spec.objectives[0].metric
    records, judged = [], {}
    compared = job_ids(session, sweep) if spec.pruner.prunes else {}
    rows = select(Trial).where(Trial.sweep_id == sweep.id).order_by(Trial.number)
    for trial in session.scalars(rows):
        reports = mean_reports(session, compared.get(trial.number, ()), metric)
        records.append(record_of(trial, reports))
        if trial.open:
            judged[trial.number] = trial.judged_epoch
    study = Study(spec.search(sweep.id), records, warm_start_trials(session, sweep, spec))
    return History(sweep.turn, study, set(judged), judged, {})


def _update_history(
    session: Session, sweep: Sweep, spec: SweepSpec, history: History, ended: Iterable[int]
) -> None:
    """Update a history with the outcomes of trials that ended and new reports of open ones."""
    study = history.study
    closed = set(ended)
    curves = _read_curves(session, sweep, spec, history) if spec.pruner.prunes else {}
    rows = select(Trial).where(Trial.sweep_id == sweep.id, Trial.number.in_(closed))
    for trial in session.scalars(rows) if closed else ():
        study.update([record_of(trial, curves.get(trial.number, study[trial.number].reports))])
    for number, reports in curves.items():
        if number not in closed and reports != study[number].reports:
            study.update([replace(study[number], reports=dict(reports))])
    history.open -= closed
    for number in closed:
        history.judged.pop(number, None)
        history.curves.pop(number, None)


def _read_curves(
    session: Session, sweep: Sweep, spec: SweepSpec, history: History
) -> dict[int, dict[int, float]]:
    """Return the mean curve of each open trial; only new metric chunks are read."""
    if not history.open:
        return {}
    metric = spec.objectives[0].metric
    statement = select_with_jobs(sweep, Trial.number, Job.id, Job.attempt).where(
        Trial.number.in_(history.open)
    )
    by_trial: dict[int, list[dict[int, float]]] = {}
    first_attempts: dict[str, Curve] = {}
    for number, job_id, attempt in session.execute(statement.order_by(*trial_order(sweep))):
        curves = history.curves.setdefault(number, {})
        if job_id not in curves or curves[job_id].attempt != attempt:
            curves[job_id] = Curve(attempt)
        if attempt > 1:
            # A later attempt may supersede points of earlier ones: read all of them.
            curves[job_id].reports = mean_reports(session, [job_id], metric)
        else:
            first_attempts[job_id] = curves[job_id]
        by_trial.setdefault(number, []).append(curves[job_id].reports)
    _append_chunks(session, first_attempts, metric)
    return {number: mean_curve(reports) for number, reports in by_trial.items()}


def _append_chunks(session: Session, curves: Mapping[str, Curve], metric: str) -> None:
    """Append the metric chunks that were written since to the curves, by job."""
    fresh = [job_id for job_id, curve in curves.items() if not curve.cursor]
    known = [job_id for job_id, curve in curves.items() if curve.cursor]
    oldest = min((curves[job_id].cursor for job_id in known), default=0)
    for ids, after in ((fresh, 0), (known, oldest)):
        if not ids:
            continue
        statement = (
            select(MetricChunk)
            .where(MetricChunk.job_id.in_(ids), MetricChunk.id > after)
            .order_by(MetricChunk.id)
        )
        for chunk in session.scalars(statement):
            curve = curves[chunk.job_id]
            if chunk.id > curve.cursor:
                curve.cursor = chunk.id
                curve.reports.update(_values(chunk, metric))


def _values(chunk: MetricChunk, metric: str) -> dict[int, float]:
    """Return the values of a metric in a chunk by epoch."""
    if metric not in chunk.keys:
        return {}
    packed = unpack(chunk.points)
    points = packed[packed["key"] == chunk.keys.index(metric)]
    values = zip(points["epoch"].tolist(), points["value"].tolist(), strict=True)
    return {epoch: value for epoch, value in values if epoch > 0}
