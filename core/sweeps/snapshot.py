"""A sweep as one who advances it sees it, and what he remembers of it until his next turn.

What is remembered counts only for the very next turn: whoever had one between, or edited the sweep,
may have changed anything. Then all is read anew; else only what has changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.db.tables import Job, MetricChunk, Sweep, Trial
from core.jobs.points import unpack
from core.search.study_cache import Notebook
from core.spec.sweep import SweepSpec
from core.sweeps.budget import affordable, going, limited, spent
from core.sweeps.queries import get, spec_of
from core.sweeps.trial_jobs import beside_jobs, in_order, job_ids
from core.sweeps.trial_outcome import mean_curve, reports, tried
from core.sweeps.warm_start import prior

MOST_AT_ONCE = 100


@dataclass
class Curve:
    """What a job of an open trial has reported so far: in which attempt, up to which chunk."""

    attempt: int
    cursor: int = 0
    reports: dict[int, float] = field(default_factory=dict)


@dataclass
class Held:
    """What is known of a sweep since the turn `turn`: its trials, curves of open ones' jobs."""

    turn: int
    notebook: Notebook
    open: set[int]
    judged: dict[int, int]
    curves: dict[int, dict[str, Curve]]


class Memory:
    """What one who advances sweeps again and again remembers of each."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}

    def take(self, sweep_id: str, turn: int) -> Held | None:
        """What is still true in this turn. It is forgotten unless it is kept again."""
        held = self._held.pop(sweep_id, None)
        return held if held is not None and held.turn == turn - 1 else None

    def keep(self, sweep_id: str, held: Held | None) -> None:
        """Remember this until the next turn."""
        if held is not None:
            self._held[sweep_id] = held

    def forget_others(self, sweep_ids: Iterable[str]) -> None:
        """Forget all sweeps but these."""
        self._held = {one: self._held[one] for one in sweep_ids if one in self._held}


@dataclass(frozen=True)
class Look:
    """A sweep as it was read. `held` is none for a search that looks at no trial."""

    spec: SweepSpec
    wanted: int
    issued: int
    state: dict[str, Any] | None
    chosen: dict[int, dict[str, Any]]
    held: Held | None


def look(
    session: Session, sweep_id: str, turn: int, held: Held | None, told: Iterable[int]
) -> Look:
    """Read a sweep: all of it, or if something is `held` what changed since; `told` just ended."""
    sweep = get(session, sweep_id)
    spec = spec_of(sweep)
    if spec.sampler.blind and not spec.pruner.prunes:
        held = None
    else:
        if held is None:
            held = _anew(session, sweep, spec)
        else:
            _since(session, sweep, spec, held, told)
        held.turn = turn
    still_open = (Trial.sweep_id == sweep_id, Trial.status == "open")
    running = session.execute(select(func.count()).where(*still_open)).scalar_one()
    free = min(sweep.max_parallel - running, sweep.n_trials - sweep.issued, MOST_AT_ONCE)
    if limited(spec):
        most = affordable(spec, spent(session, sweep))
        free = free if most is None else min(free, most)
    return Look(
        spec,
        max(0, free) if going(sweep) else 0,
        sweep.issued,
        sweep.state,
        chosen(sweep, spec),
        held,
    )


def chosen(sweep: Sweep, spec: SweepSpec) -> dict[int, dict[str, Any]]:
    """The points that somebody chose, by number: the baseline, and what was added since."""
    added = {int(number): point for number, point in (sweep.added or {}).items()}
    given = dict(enumerate(spec.baseline)) | added
    # A point without fields is the sampler's choice altogether.
    return {number: point for number, point in given.items() if point}


def _anew(session: Session, sweep: Sweep, spec: SweepSpec) -> Held:
    """All trials as the search knows them; of the open ones the last epoch that was judged."""
    metric = spec.objectives[0].metric
    found, judged, still_open = [], {}, set()
    # What a pruner compares with: of those that ended, and those that run.
    compared = job_ids(session, sweep) if spec.pruner.prunes else {}
    rows = select(Trial).where(Trial.sweep_id == sweep.id).order_by(Trial.number)
    for trial in session.scalars(rows):
        found.append(tried(trial, reports(session, compared.get(trial.number, ()), metric)))
        if trial.open:
            still_open.add(trial.number)
            judged[trial.number] = trial.judged_epoch
    notebook = Notebook(spec.search(sweep.id), found, prior(session, sweep, spec))
    return Held(sweep.turn, notebook, still_open, judged, {})


def _since(
    session: Session, sweep: Sweep, spec: SweepSpec, held: Held, told: Iterable[int]
) -> None:
    """Add to what is held what trials told just now came to, and what open ones reported."""
    known = held.notebook
    ended = set(told)
    curves = _curves(session, sweep, spec, held) if spec.pruner.prunes else {}
    rows = select(Trial).where(Trial.sweep_id == sweep.id, Trial.number.in_(ended))
    for trial in session.scalars(rows) if ended else ():
        known.write([tried(trial, curves.get(trial.number, known[trial.number].reports))])
    for number, reported in curves.items():
        if number not in ended and reported != known[number].reports:
            known.write([replace(known[number], reports=dict(reported))])
    held.open -= ended
    for number in ended:
        held.judged.pop(number, None)
        held.curves.pop(number, None)


def _curves(
    session: Session, sweep: Sweep, spec: SweepSpec, held: Held
) -> dict[int, dict[int, float]]:
    """What the trials that were open so far have reported, by number; only new chunks are read."""
    metric = spec.objectives[0].metric
    statement = beside_jobs(sweep, Trial.number, Job.id, Job.attempt).order_by(*in_order(sweep))
    found: dict[int, list[dict[int, float]]] = {}
    growing: dict[str, Curve] = {}
    mine = Trial.number.in_(held.open)
    for number, job_id, attempt in session.execute(statement.where(mine)) if held.open else ():
        curves = held.curves.setdefault(number, {})
        if job_id not in curves or curves[job_id].attempt != attempt:
            curves[job_id] = Curve(attempt)
        if attempt > 1:
            # Points of earlier attempts may be superseded now.
            curves[job_id].reports = reports(session, [job_id], metric)
        else:
            growing[job_id] = curves[job_id]
        found.setdefault(number, []).append(curves[job_id].reports)
    _grow(session, growing, metric)
    return {number: mean_curve(reported) for number, reported in found.items()}


def _grow(session: Session, growing: Mapping[str, Curve], metric: str) -> None:
    """Add what was written since to the curves, by job."""
    fresh = [job_id for job_id, curve in growing.items() if not curve.cursor]
    begun = [job_id for job_id, curve in growing.items() if curve.cursor]
    least = min((growing[job_id].cursor for job_id in begun), default=0)
    for ids, after in ((fresh, 0), (begun, least)):
        if not ids:
            continue
        statement = (
            select(MetricChunk)
            .where(MetricChunk.job_id.in_(ids), MetricChunk.id > after)
            .order_by(MetricChunk.id)
        )
        for chunk in session.scalars(statement):
            curve = growing[chunk.job_id]
            if chunk.id <= curve.cursor:
                continue
            curve.cursor = chunk.id
            _read(chunk, metric, curve.reports)


def _read(chunk: MetricChunk, metric: str, into: dict[int, float]) -> None:
    if metric not in chunk.keys:
        return
    packed = unpack(chunk.points)
    mine = packed[packed["key"] == chunk.keys.index(metric)]
    for epoch, value in zip(mine["epoch"].tolist(), mine["value"].tolist(), strict=True):
        if epoch > 0:
            into[epoch] = value
