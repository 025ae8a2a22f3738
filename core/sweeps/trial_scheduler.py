"""Advance a sweep: record outcomes, prune trials that will not be among the best, start new ones.

An advance has three steps, so that no transaction is open while the sampler computes: lock the
sweep and read it, ask sampler and pruner, write. The lock is the column `turn_until`; `turn` is its
fencing token. A write is refused once another process has taken the lock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import ValidationError
from sqlalchemy import Engine, exists, or_, select, update
from sqlalchemy.orm import Session, load_only

from chainrule.contract.status import TERMINAL, SweepStatus
from core import jobs
from core.db.clock import later, now
from core.db.session import reading, transaction
from core.db.tables import Job, Sweep, Trial
from core.errors import SupersededError
from core.search.study import Study, Suggestion
from core.spec import JobSpec
from core.spec.sweep import SweepSpec
from core.sweeps.budget import end, exhausted_budget, is_limited, may_start_trials, spent, stop
from core.sweeps.queries import get, spec_of
from core.sweeps.snapshot import Snapshot, SnapshotCache, has_work, read_snapshot
from core.sweeps.trial_jobs import (
    is_cross_validated,
    job_ids,
    select_with_jobs,
    submit,
    trial_order,
)
from core.sweeps.trial_outcome import best_of, first_failure, ranked, record_outcome

LOCK_SECONDS = 60.0

_OUTCOME_COLUMNS = (
    load_only(Job.status, Job.progress, Job.result, Job.cause, Job.cancel_requested_at),
    *jobs.ALONE,
)
"""What is loaded of a job to compute the outcome of its trial."""

Verdicts: TypeAlias = Mapping[int, tuple[int | None, int, dict[str, Any]]]
"""By trial: the epoch to prune it at or None, the last epoch judged, and its attributes."""


@dataclass(frozen=True)
class Advance:
    """How many trials one `advance` recorded the outcome of, pruned and started."""

    ended: int = 0
    pruned: int = 0
    started: int = 0


def unfinished(session: Session) -> list[str]:
    """Return the ids of sweeps that need advancing, oldest first."""
    has_open = exists().where(Trial.sweep_id == Sweep.id, Trial.status == "open")
    statement = select(Sweep.id).where(or_(Sweep.status == SweepStatus.RUNNING, has_open))
    return list(session.scalars(statement.order_by(Sweep.created_at, Sweep.id)))


def advance(engine: Engine, sweep_id: str, cache: SnapshotCache | None = None) -> Advance:
    """Advance a sweep once and return what was done.

    What `cache` holds since the last advance is not read again. Nothing is done without pending
    work, or while another process holds the lock. Raises UnavailableError when the database does
    not answer, and SupersededError when another process took the lock over: then no trial was
    started.
    """
    with reading(engine) as session:
        if not has_work(session, sweep_id):
            return Advance()
    with transaction(engine) as session:
        token = _acquire_lock(session, sweep_id)
        if token is None:
            return Advance()
        ended = _record_outcomes(session, sweep_id)
    cache = cache or SnapshotCache()
    history = cache.take(sweep_id, token)
    with reading(engine) as session:
        snapshot = read_snapshot(session, sweep_id, token, history, ended)
    verdicts = _judge(snapshot)
    suggestions, state = _suggest(sweep_id, snapshot)
    with transaction(engine) as session:
        sweep = _locked(session, sweep_id, token)
        pruned = _prune(session, sweep, verdicts)
        started, invalid = _start_trials(session, sweep, snapshot.spec, suggestions, state)
        _end_if_complete(session, sweep)
        sweep.turn_until = now()
    # The history has all suggestions as open trials: it is wrong if one failed or was not started.
    if not invalid and started == len(suggestions):
        cache.keep(sweep_id, snapshot.history)
    return Advance(len(ended), pruned, started)


def _acquire_lock(session: Session, sweep_id: str) -> int | None:
    """Lock a sweep for `LOCK_SECONDS`; return the fencing token, None if it is locked already."""
    statement = (
        update(Sweep)
        .where(Sweep.id == sweep_id, Sweep.turn_until <= now())
        .values(turn=Sweep.turn + 1, turn_until=later(LOCK_SECONDS))
        .execution_options(synchronize_session=False)
        .returning(Sweep.turn)
    )
    return session.scalar(statement)


def _locked(session: Session, sweep_id: str, token: int) -> Sweep:
    """Return the sweep. Raises SupersededError if `token` is no longer the newest."""
    sweep = get(session, sweep_id, lock=True)
    if sweep.turn != token:
        raise SupersededError(f"sweep {sweep_id} was advanced or edited by another process")
    return sweep


def _record_outcomes(session: Session, sweep_id: str) -> list[int]:
    """End the trials whose jobs have ended, stop the sweep at its budget; return their numbers."""
    sweep = get(session, sweep_id, lock=True)
    spec = spec_of(sweep)
    moment = session.execute(select(now())).scalar_one()
    ended = []
    for trial, own_jobs in _ending(session, sweep):
        if not record_outcome(spec, trial, own_jobs, moment):
            _stop_other_folds(session, spec, own_jobs)
            continue
        sweep.outcomes += 1
        trial.ordinal = sweep.outcomes
        ended.append(trial.number)
        if trial.finished and sweep.leading is not None:
            known = [(number, tuple(costs)) for number, costs in sweep.leading]
            sweep.leading = best_of([*known, ranked(spec, trial.number, trial.objectives or ())])
        sweep.epochs_told += sum(int((job.progress or {}).get("epoch", 0)) for job in own_jobs)
    session.flush()
    if may_start_trials(sweep) and is_limited(spec):
        budget = exhausted_budget(spec, spent(session, sweep))
        if budget is not None:
            stop(session, sweep, budget)
    return ended


def _ending(session: Session, sweep: Sweep) -> list[tuple[Trial, list[Job]]]:
    """Return open trials of which a job has ended, by number, each with all of its jobs."""
    is_open, ended = Trial.status == "open", Job.status.in_(list(TERMINAL))
    statement = select_with_jobs(sweep, Trial, Job).where(is_open).order_by(*trial_order(sweep))
    statement = statement.options(*_OUTCOME_COLUMNS)
    if is_cross_validated(sweep):
        any_ended = select_with_jobs(sweep, Trial.number).where(is_open, ended)
        statement = statement.where(Trial.number.in_(any_ended))
    else:
        statement = statement.where(ended)
    by_number: dict[int, tuple[Trial, list[Job]]] = {}
    for trial, job in session.execute(statement):
        by_number.setdefault(trial.number, (trial, []))[1].append(job)
    return list(by_number.values())


def _stop_other_folds(session: Session, spec: SweepSpec, own_jobs: Sequence[Job]) -> None:
    """Stop the remaining folds of a trial that can no longer finish."""
    failure = first_failure(spec, own_jobs)
    if failure is None:
        return
    for job in own_jobs:
        if not job.status.terminal and job.cancel_requested_at is None:
            jobs.stop(session, job.id, reason={"kind": "fold_ended", "fold": failure[0]})


def _judge(snapshot: Snapshot) -> Verdicts:
    """Ask the pruner about each open trial that logged another epoch."""
    history = snapshot.history
    if history is None or not snapshot.spec.pruner.prunes:
        return {}
    verdicts = {}
    for number in sorted(history.open):
        newest = max(history.study[number].reports, default=0)
        if newest > history.judged[number]:
            epoch, attributes = history.study.judge(number, after=history.judged[number])
            verdicts[number] = epoch, newest, attributes
            history.judged[number] = newest
    return verdicts


def _suggest(sweep_id: str, snapshot: Snapshot) -> tuple[list[Suggestion], dict[str, Any] | None]:
    """Ask the sampler for as many points as may start; return them and the sampler's state."""
    if not snapshot.free:
        return [], snapshot.state
    history = snapshot.history
    study = history.study if history else Study(snapshot.spec.search(sweep_id), [])
    suggestions, state = study.ask(
        snapshot.free, state=snapshot.state, chosen=snapshot.chosen, first=snapshot.issued
    )
    if history is not None:
        numbers = [suggestion.number for suggestion in suggestions]
        history.open.update(numbers)
        history.judged.update(dict.fromkeys(numbers, 0))
    return suggestions, state


def _prune(session: Session, sweep: Sweep, verdicts: Verdicts) -> int:
    """Store the verdicts and end the jobs of trials to prune; return how many still had to end."""
    if not verdicts:
        return 0
    rows = select(Trial).where(Trial.sweep_id == sweep.id, Trial.number.in_(verdicts))
    trials = {trial.number: trial for trial in session.scalars(rows)}
    to_prune = [number for number, (epoch, _, _) in verdicts.items() if epoch is not None]
    ids = job_ids(session, sweep, to_prune)
    pruned = 0
    for number, (epoch, newest, attributes) in verdicts.items():
        trial = trials[number]
        trial.attributes, trial.judged_epoch = attributes, newest
        if epoch is not None and trial.open:
            reason = {"kind": "pruned", "epoch": epoch, "sweep": sweep.id}
            own_jobs = [jobs.prune(session, job_id, reason=reason) for job_id in ids[number]]
            pruned += not all(job.status.terminal for job in own_jobs)
    session.flush()
    return pruned


def _start_trials(
    session: Session,
    sweep: Sweep,
    spec: SweepSpec,
    suggestions: list[Suggestion],
    state: dict[str, Any] | None,
) -> tuple[int, int]:
    """Add a trial with its jobs for each suggestion, and store the sampler's state.

    A point whose values do not fit together becomes a failed trial. Return how many trials were
    added and how many of them failed.
    """
    if not may_start_trials(sweep) or not suggestions:
        return 0, 0
    _issue(session, sweep, suggestions[0].number, len(suggestions))
    trials: list[Trial] = []
    specs: list[tuple[Trial, JobSpec]] = []
    for suggestion in suggestions:
        trial = Trial(
            sweep_id=sweep.id,
            number=suggestion.number,
            point=suggestion.values,
            attributes=suggestion.attributes,
            status="open",
            shown=spec.mlflow == "all",
        )
        trials.append(trial)
        try:
            specs.append((trial, spec.at(suggestion.values)))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            message = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            sweep.outcomes += 1
            trial.status, trial.told_at, trial.ordinal = "failed", now(), sweep.outcomes
            trial.cause = {"kind": "user_error", "message": message}
    folds = submit(session, sweep, spec, specs)
    session.add_all(trials)
    sweep.state = state
    session.flush()
    session.add_all(folds)
    return len(trials), len(trials) - len(specs)


def _issue(session: Session, sweep: Sweep, first: int, count: int) -> None:
    """Take `count` trials from the budget.

    Raises SupersededError if `first` is not the next trial or the budget has fewer.
    """
    statement = (
        update(Sweep)
        .where(Sweep.id == sweep.id, Sweep.issued == first, Sweep.issued + count <= Sweep.n_trials)
        .values(issued=Sweep.issued + count)
        .returning(Sweep.issued)
    )
    if session.scalar(statement) is None:
        raise SupersededError(f"trial {first} of sweep {sweep.id} was started by another process")


def _end_if_complete(session: Session, sweep: Sweep) -> None:
    """Finish a sweep that may start no more trials and has none open."""
    session.refresh(sweep, ["issued"])
    if sweep.status.terminal or (sweep.issued < sweep.n_trials and not sweep.stopped_by):
        return
    is_open = (Trial.sweep_id == sweep.id, Trial.status == "open")
    if session.scalar(select(Trial.number).where(*is_open).limit(1)) is None:
        end(session, sweep, SweepStatus.FINISHED)
