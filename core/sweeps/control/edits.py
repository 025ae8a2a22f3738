"""Change a sweep that has begun. What was tried is kept, and stays known to the search.

Every change takes a turn: who is just advancing the sweep as it was begins nothing any more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db.clock import now
from core.db.tables import Job, Sweep, Trial
from core.errors import ConflictError, FieldError, InvalidError
from core.search.study import unjudged
from core.spec.sweep import SweepChanges, SweepSpec, misplaced
from core.status import JobStatus, SweepStatus
from core.sweeps.budget import refuse_spent, start_clock
from core.sweeps.control.changes import note
from core.sweeps.queries import get
from core.sweeps.snapshot import chosen
from core.sweeps.submission import check_on_data
from core.sweeps.trial_jobs import beside_jobs, submit_again
from core.sweeps.warm_start import check_warm_start


def edit(
    session: Session,
    sweep_id: str,
    changes: SweepChanges,
    *,
    max_weights_bytes: int,
    owner: str = "local",
) -> Sweep:
    """Change budgets, parallelism, search space, sampler or pruner of a sweep.

    More trials let one that has finished go on. Raises NotFoundError, ConflictError when it was
    cancelled, InvalidError naming the field when the sweep cannot be like that.
    """
    sweep = _taken(session, sweep_id)
    before = SweepSpec.model_validate(sweep.spec)
    given = changes.model_dump(mode="json").items()
    wanted = {name: value for name, value in given if value is not None}
    was = {name: sweep.spec.get(name) for name in wanted}
    document = dict(sweep.spec) | wanted
    # What was begun already need not lie in the new space.
    document["baseline"] = [
        {} if number < sweep.issued else point
        for number, point in enumerate(sweep.spec.get("baseline", []))
    ]
    try:
        spec = SweepSpec.model_validate(document)
    except ValidationError as error:
        raise _invalid(error) from error
    searched = changes.search_space is not None or changes.sampler is not None
    if searched and (before.sampler.counted or spec.sampler.counted) and sweep.issued:
        field = "sampler" if changes.sampler is not None else "search_space"
        raise _refused(field, "a sampler that visits each point once cannot change: begin anew")
    if spec.trials < sweep.issued:
        raise _refused("n_trials", f"{sweep.issued} trials have begun already")
    later = {n: point for n, point in chosen(sweep, spec).items() if n >= sweep.issued}
    if later and spec.trials <= max(later):
        raise _refused(
            "n_trials",
            f"points wait to be tried until trial {max(later)}: {max(later) + 1} at least",
        )
    for place, message in misplaced(spec, list(later.values()), "added"):
        raise _refused("search_space", f"a point that waits to be tried: {place[-1]}: {message}")
    if changes.sampler is not None:
        check_warm_start(session, spec)
    check_on_data(spec, sweep.dataset_version, max_weights_bytes)
    if changes.sampler is not None:
        sweep.state = None  # another sampler's random numbers mean nothing to it
    sweep.spec = spec.model_dump(mode="json")
    sweep.n_trials, sweep.max_parallel = spec.trials, spec.max_parallel
    if changes.budget is not None:
        sweep.stopped_by = None
    _go_on(session, sweep, sweep.stopped_by is None and sweep.issued < sweep.n_trials)
    note(session, sweep, owner, "edited", to=wanted, was=was)
    return sweep


def add_points(
    session: Session, sweep_id: str, points: Sequence[Mapping[str, Any]], *, owner: str = "local"
) -> Sweep:
    """Try these points next, each as a trial more. Raises as `edit` does."""
    sweep = _taken(session, sweep_id)
    refuse_spent(sweep)
    spec = SweepSpec.model_validate(sweep.spec)
    wrong = [
        FieldError(f"points[{place[1]}].{place[2]}", message)
        for place, message in misplaced(spec, points, "points")
    ]
    if wrong:
        raise InvalidError(f"{wrong[0].path}: {wrong[0].message}", wrong)
    if spec.sampler.counted:
        raise _refused("points", f"{spec.sampler.kind} visits each point of its space anyway")
    taken = [number for number in chosen(sweep, spec) if number >= sweep.issued]
    first = max([sweep.issued - 1, *taken]) + 1
    sweep.added = (sweep.added or {}) | {
        str(number): dict(point) for number, point in enumerate(points, first)
    }
    sweep.n_trials = max(sweep.n_trials + len(points), first + len(points))
    sweep.spec = {**sweep.spec, "n_trials": sweep.n_trials}
    _go_on(session, sweep, True)
    note(session, sweep, owner, "points_added", first=first, points=[dict(one) for one in points])
    return sweep


def retry_failed(session: Session, sweep_id: str, *, owner: str = "local") -> int:
    """Try again each trial whose job failed; how many. A trial keeps its number and its point.

    Folds of it that finished count as they are. One whose job finished without a number that counts
    is left alone: it would end so again.
    Raises NotFoundError, ConflictError when the sweep was cancelled.
    """
    sweep = _taken(session, sweep_id)
    refuse_spent(sweep)
    spec = SweepSpec.model_validate(sweep.spec)
    whose = beside_jobs(sweep, Trial.number).where(Job.status == JobStatus.FAILED)
    statement = select(Trial).where(
        Trial.sweep_id == sweep_id, Trial.status == "failed", Trial.number.in_(whose)
    )
    failed = list(session.scalars(statement.order_by(Trial.number)))
    submit_again(session, sweep, spec, failed)
    for trial in failed:
        trial.status, trial.judged_epoch = "open", 0
        trial.told_at = trial.objectives = trial.deviations = trial.cause = None
        trial.attributes = unjudged(trial.attributes or {})
    _go_on(session, sweep, bool(failed))
    note(session, sweep, owner, "retried", trials=[trial.number for trial in failed])
    return len(failed)


def _taken(session: Session, sweep_id: str) -> Sweep:
    """The locked sweep, whose turn is over for everybody else."""
    sweep = get(session, sweep_id, lock=True)
    if sweep.status is SweepStatus.CANCELLED:
        raise ConflictError(f"sweep {sweep_id} is cancelled and cannot be changed any more")
    sweep.turn += 1
    sweep.turn_until = now()
    return sweep


def _go_on(session: Session, sweep: Sweep, more: bool) -> None:
    if more and sweep.status is SweepStatus.FINISHED:
        start_clock(session, sweep)
        sweep.status, sweep.finished_at = SweepStatus.RUNNING, None
        sweep.mirrored_status = None  # MLflow has an end of it that was none


def _refused(field: str, message: str) -> InvalidError:
    return InvalidError(f"{field}: {message}", [FieldError(field, message)])


def _invalid(error: ValidationError) -> InvalidError:
    found = [
        FieldError(".".join(map(str, one["loc"])), one["msg"])
        for one in error.errors(include_url=False, include_context=False)
    ]
    return InvalidError("; ".join(f"{one.path}: {one.message}" for one in found), found)
