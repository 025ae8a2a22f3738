"""Change a sweep after it has started: cancel, pause, resume, edit, add points, retry trials.

An edit raises the fencing token of the sweep's lock, so that a process that is advancing the sweep
with the earlier spec starts no trials. Trials that were started are kept, and the search keeps
knowing them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus, SweepStatus
from core import jobs
from core.db.clock import now
from core.db.tables import Job, Sweep, Trial
from core.errors import ConflictError, FieldError, InvalidError
from core.search.study import without_rungs
from core.spec.sweep import SweepChanges, SweepSpec, misplaced
from core.spec.version import encode
from core.sweeps.budget import end, refuse_exhausted, start_clock, stop_clock
from core.sweeps.queries import get, spec_of
from core.sweeps.snapshot import chosen_points
from core.sweeps.submission import check_on_data, check_warm_start
from core.sweeps.trial_jobs import select_with_jobs, submit_again, unfinished_jobs

MOST_CHANGES = 500
"""Entries that a sweep keeps of what was changed, the newest ones."""


def cancel(session: Session, sweep_id: str, *, owner: str = "local") -> Sweep:
    """Start no more trials; cancel queued jobs and ask running ones to end.

    Cancelling twice is harmless. Raises NotFoundError, and ConflictError for a finished sweep.
    """
    sweep = get(session, sweep_id, lock=True)
    if sweep.status is SweepStatus.CANCELLED:
        return sweep
    _refuse_ended(sweep, "cancelled")
    _log_change(session, sweep, owner, "cancelled")
    end(session, sweep, SweepStatus.CANCELLED)
    for job_id in unfinished_jobs(session, sweep):
        if not jobs.get(session, job_id, lock=True).status.terminal:
            jobs.cancel(session, job_id, owner=owner)
    return sweep


def pause(session: Session, sweep_id: str, *, owner: str = "local") -> Sweep:
    """Start no more trials until the sweep is resumed; running trials go on.

    Raises NotFoundError, and ConflictError for a sweep that has ended.
    """
    return _switch(session, sweep_id, SweepStatus.PAUSED, owner)


def resume(session: Session, sweep_id: str, *, owner: str = "local") -> Sweep:
    """Start trials again.

    Raises NotFoundError, and ConflictError for a sweep that has ended.
    """
    return _switch(session, sweep_id, SweepStatus.RUNNING, owner)


def _switch(session: Session, sweep_id: str, status: SweepStatus, owner: str) -> Sweep:
    """Set a sweep to `paused` or `running`, and stop or start its clock."""
    paused = status is SweepStatus.PAUSED
    sweep = get(session, sweep_id, lock=True)
    change = "paused" if paused else "resumed"
    _refuse_ended(sweep, change)
    (stop_clock if paused else start_clock)(session, sweep)
    if sweep.status is not status:
        sweep.status = status
        _log_change(session, sweep, owner, change)
    return sweep


def edit(
    session: Session,
    sweep_id: str,
    changes: SweepChanges,
    *,
    max_weights_bytes: int,
    owner: str = "local",
) -> Sweep:
    """Change budgets, parallelism, search space, sampler or pruner of a sweep.

    A finished sweep goes on if it gets more trials. Raises NotFoundError, ConflictError for a
    cancelled sweep, and InvalidError naming the field that cannot be changed like that.
    """
    sweep = _lock_for_edit(session, sweep_id)
    document = changes.model_dump(mode="json").items()
    values = {name: value for name, value in document if value is not None}
    earlier = {name: sweep.spec.get(name) for name in values}
    spec = _edited_spec(sweep, values)
    _check_edit(sweep, spec, changes)
    if changes.sampler is not None:
        check_warm_start(session, spec)
    check_on_data(spec, sweep.dataset_version, max_weights_bytes)
    if changes.sampler is not None:
        sweep.state = None  # the state of another sampler
    sweep.spec = encode(spec).document
    sweep.n_trials, sweep.max_parallel = spec.trials, spec.max_parallel
    if changes.budget is not None:
        sweep.stopped_by = None
    if sweep.stopped_by is None and sweep.issued < sweep.n_trials:
        _reopen(session, sweep)
    _log_change(session, sweep, owner, "edited", to=values, was=earlier)
    return sweep


def _edited_spec(sweep: Sweep, values: Mapping[str, Any]) -> SweepSpec:
    """Return the spec with `values` replaced. Raises InvalidError."""
    document = dict(sweep.spec) | dict(values)
    # Points of trials that were started need not lie in the new space.
    document["baseline"] = [
        {} if number < sweep.issued else point
        for number, point in enumerate(sweep.spec.get("baseline", []))
    ]
    try:
        return SweepSpec.model_validate(document)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        raise InvalidError.of(
            *(FieldError(".".join(map(str, detail["loc"])), detail["msg"]) for detail in details)
        ) from error


def _check_edit(sweep: Sweep, spec: SweepSpec, changes: SweepChanges) -> None:
    """Raise InvalidError if the new spec contradicts trials that were started or points to try."""
    field = "sampler" if changes.sampler is not None else "search_space"
    searched = changes.sampler is not None or changes.search_space is not None
    exhaustive = spec_of(sweep).sampler.exhaustive or spec.sampler.exhaustive
    if searched and exhaustive and sweep.issued:
        raise _refused(
            field, "a sampler that visits each point once cannot change: start a new sweep"
        )
    if spec.trials < sweep.issued:
        raise _refused("n_trials", f"{sweep.issued} trials were started already")
    pending = _pending_points(sweep, spec)
    if pending and spec.trials <= max(pending):
        raise _refused(
            "n_trials", f"points are added up to trial {max(pending)}: {max(pending) + 1} at least"
        )
    for place, message in misplaced(spec, list(pending.values()), "added"):
        raise _refused("search_space", f"a point that was added: {place[-1]}: {message}")


def add_points(
    session: Session, sweep_id: str, points: Sequence[Mapping[str, Any]], *, owner: str = "local"
) -> Sweep:
    """Try these points next, each as an additional trial.

    Raises NotFoundError, ConflictError for a cancelled sweep or one whose budget is used up, and
    InvalidError naming the fields that do not lie in the search space.
    """
    sweep = _lock_for_edit(session, sweep_id)
    refuse_exhausted(sweep)
    spec = spec_of(sweep)
    errors = [
        FieldError(f"points[{place[1]}].{place[2]}", message)
        for place, message in misplaced(spec, points, "points")
    ]
    if errors:
        raise InvalidError(f"{errors[0].path}: {errors[0].message}", errors)
    if spec.sampler.exhaustive:
        raise _refused("points", f"{spec.sampler.kind} visits each point of its space anyway")
    first = max([sweep.issued - 1, *_pending_points(sweep, spec)]) + 1
    sweep.added = (sweep.added or {}) | {
        str(number): dict(point) for number, point in enumerate(points, first)
    }
    sweep.n_trials = max(sweep.n_trials + len(points), first + len(points))
    sweep.spec = {**sweep.spec, "n_trials": sweep.n_trials}
    _reopen(session, sweep)
    added = [dict(point) for point in points]
    _log_change(session, sweep, owner, "points_added", first=first, points=added)
    return sweep


def retry_failed(session: Session, sweep_id: str, *, owner: str = "local") -> int:
    """Retry each trial with a failed job, under its number and point; return how many.

    Finished folds are kept. A trial whose job finished without a finite objective is left alone:
    it would end the same way. Raises NotFoundError, and ConflictError for a cancelled sweep or one
    whose budget is used up.
    """
    sweep = _lock_for_edit(session, sweep_id)
    refuse_exhausted(sweep)
    with_failed_job = select_with_jobs(sweep, Trial.number).where(Job.status == JobStatus.FAILED)
    statement = select(Trial).where(
        Trial.sweep_id == sweep_id, Trial.status == "failed", Trial.number.in_(with_failed_job)
    )
    failed = list(session.scalars(statement.order_by(Trial.number)))
    submit_again(session, sweep, spec_of(sweep), failed)
    for trial in failed:
        trial.status, trial.judged_epoch = "open", 0
        trial.told_at = trial.objectives = trial.deviations = trial.cause = None
        trial.ordinal = None
        trial.attributes = without_rungs(trial.attributes or {})
    if failed:
        sweep.outcomes += 1
        _reopen(session, sweep)
    _log_change(session, sweep, owner, "retried", trials=[trial.number for trial in failed])
    return len(failed)


def _lock_for_edit(session: Session, sweep_id: str) -> Sweep:
    """Return the locked row of a sweep and raise its fencing token.

    Raises NotFoundError, and ConflictError for a cancelled sweep.
    """
    sweep = get(session, sweep_id, lock=True)
    if sweep.status is SweepStatus.CANCELLED:
        raise ConflictError(f"sweep {sweep_id} is cancelled and cannot be changed any more")
    sweep.turn += 1
    sweep.turn_until = now()
    return sweep


def _reopen(session: Session, sweep: Sweep) -> None:
    """Set a finished sweep to `running` again."""
    if sweep.status is SweepStatus.FINISHED:
        start_clock(session, sweep)
        sweep.status, sweep.finished_at = SweepStatus.RUNNING, None
        sweep.mirrored_status = None  # MLflow shows the end that was taken back


def _pending_points(sweep: Sweep, spec: SweepSpec) -> dict[int, dict[str, Any]]:
    """Return the chosen points whose trials were not started yet, by number."""
    points = chosen_points(sweep, spec)
    return {number: point for number, point in points.items() if number >= sweep.issued}


def _log_change(session: Session, sweep: Sweep, owner: str, kind: str, **details: Any) -> None:
    """Add an entry to the sweep's list of changes, newest last."""
    moment = session.execute(select(now())).scalar_one()
    change = {"at": moment.isoformat(), "by": owner, "kind": kind, "what": details}
    sweep.changes = [*(sweep.changes or []), change][-MOST_CHANGES:]
    session.flush()


def _refuse_ended(sweep: Sweep, change: str) -> None:
    if sweep.status.terminal:
        raise ConflictError(f"sweep {sweep.id} is {sweep.status} and cannot be {change} any more")


def _refused(field: str, message: str) -> InvalidError:
    return InvalidError.of(FieldError(field, message))
