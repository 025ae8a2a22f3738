"""Advance a sweep: tell what ended, prune what will not be among the best, begin new trials.

Three steps, so that no transaction is open while the sampler thinks: take a turn and read, think,
write. What is written names the turn and is refused when a later one was taken meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Engine, exists, func, or_, select, update
from sqlalchemy.orm import Session

from core import jobs
from core.data.schema import DatasetSchema
from core.db.clock import later, now
from core.db.session import reading, transaction
from core.db.tables import Job, Sweep, Trial
from core.errors import SupersededError
from core.search.study import Search, Suggestion, Tried, ask, judge
from core.spec import JobSpec
from core.spec.stacking import stack_key
from core.spec.sweep import SweepSpec
from core.status import TERMINAL, SweepStatus
from core.sweeps.announcing import announce_end
from core.sweeps.budget import affordable, exhausted, going, limited, spent, stop, stop_clock
from core.sweeps.reading import get
from core.sweeps.telling import reports, tell, tried

TURN_SECONDS = 60.0
_MOST_AT_ONCE = 100

Verdicts = Mapping[int, tuple[int | None, int, dict[str, Any]]]
"""By trial: the epoch to prune it at or None, the last one seen, and its attributes."""


@dataclass(frozen=True)
class Advance:
    """What a turn did: trials told, pruned and begun."""

    told: int = 0
    pruned: int = 0
    begun: int = 0


@dataclass(frozen=True)
class _Look:
    """A sweep as it was read."""

    turn: int
    spec: SweepSpec
    search: Search
    wanted: int
    issued: int
    told: int
    state: dict[str, Any] | None
    chosen: dict[int, dict[str, Any]]
    tried: list[Tried]
    judged: dict[int, int]


def unfinished(session: Session) -> list[str]:
    """The ids of sweeps that somebody should advance, oldest first."""
    left = exists().where(Trial.sweep_id == Sweep.id, Trial.status == "open")
    statement = select(Sweep.id).where(or_(Sweep.status == SweepStatus.RUNNING, left))
    return list(session.scalars(statement.order_by(Sweep.created_at, Sweep.id)))


def advance(engine: Engine, sweep_id: str) -> Advance:
    """Take a turn at a sweep; what was done.

    Nothing while somebody else has one. Raises UnavailableError when the database does not answer,
    SupersededError when this took so long that another one took over: then nothing was begun.
    """
    with transaction(engine) as session:
        turn = _take_turn(session, sweep_id)
        if turn is None:
            return Advance()
        told = _tell(session, sweep_id)
    with reading(engine) as session:
        look = _look(session, sweep_id, turn, told)
    verdicts = _judge(look)
    found: list[Suggestion] = []
    state = look.state
    if look.wanted:
        found, state = ask(
            look.search,
            look.tried,
            look.wanted,
            state=state,
            wanted=look.chosen,
            begun=look.issued,
        )
    with transaction(engine) as session:
        sweep = _own(session, sweep_id, turn)
        pruned = _prune(session, sweep, verdicts)
        begun = _begin(session, sweep, look.spec, found, state)
        _conclude(session, sweep)
        sweep.turn_until = now()
    return Advance(told, pruned, begun)


def _take_turn(session: Session, sweep_id: str) -> int | None:
    statement = (
        update(Sweep)
        .where(Sweep.id == sweep_id, Sweep.turn_until <= now())
        .values(turn=Sweep.turn + 1, turn_until=later(TURN_SECONDS))
        .execution_options(synchronize_session=False)
        .returning(Sweep.turn)
    )
    return session.scalar(statement)


def _own(session: Session, sweep_id: str, turn: int) -> Sweep:
    sweep = get(session, sweep_id, lock=True)
    if sweep.turn != turn:
        raise SupersededError(f"sweep {sweep_id} is advanced by somebody else")
    return sweep


def _tell(session: Session, sweep_id: str) -> int:
    sweep = get(session, sweep_id, lock=True)
    spec = SweepSpec.model_validate(sweep.spec)
    statement = (
        select(Trial, Job)
        .join(Job, Job.id == Trial.job_id)
        .where(Trial.sweep_id == sweep_id, Trial.status == "open", Job.status.in_(list(TERMINAL)))
        .order_by(Trial.number)
    )
    moment = session.execute(select(now())).scalar_one()
    told = 0
    for trial, job in session.execute(statement):
        told += tell(spec, trial, job, moment)
        sweep.epochs_told += int((job.progress or {}).get("epoch", 0))
    session.flush()
    if going(sweep) and limited(spec):
        gone = exhausted(spec, spent(session, sweep))
        if gone is not None:
            stop(session, sweep, gone)
    return told


def _look(session: Session, sweep_id: str, turn: int, told: int) -> _Look:
    sweep = get(session, sweep_id)
    spec = SweepSpec.model_validate(sweep.spec)
    needless = spec.sampler.blind and not spec.pruner.prunes
    found, judged = ([], {}) if needless else _history(session, sweep_id, spec)
    still_open = (Trial.sweep_id == sweep_id, Trial.status == "open")
    running = session.execute(select(func.count()).where(*still_open)).scalar_one()
    free = min(sweep.max_parallel - running, sweep.n_trials - sweep.issued, _MOST_AT_ONCE)
    if limited(spec):
        most = affordable(spec, spent(session, sweep))
        free = free if most is None else min(free, most)
    wanted_now = max(0, free) if going(sweep) else 0
    return _Look(
        turn,
        spec,
        spec.search(sweep_id),
        wanted_now,
        sweep.issued,
        told,
        sweep.state,
        chosen(sweep, spec),
        found,
        judged,
    )


def chosen(sweep: Sweep, spec: SweepSpec) -> dict[int, dict[str, Any]]:
    """The points that somebody chose, by number: the baseline, and what was added since."""
    added = {int(number): point for number, point in (sweep.added or {}).items()}
    return dict(enumerate(spec.baseline)) | added


def _history(
    session: Session, sweep_id: str, spec: SweepSpec
) -> tuple[list[Tried], dict[int, int]]:
    """All trials as the search knows them; of the open ones the last epoch that was judged."""
    metric = spec.objectives[0].metric
    found, judged = [], {}
    rows = select(Trial).where(Trial.sweep_id == sweep_id).order_by(Trial.number)
    for trial in session.scalars(rows):
        # What a pruner compares with: of those that ended, and those that run.
        compared = trial.job_id if spec.pruner.prunes else None
        found.append(tried(trial, reports(session, compared, metric) if compared else None))
        if trial.open:
            judged[trial.number] = trial.judged_epoch
    return found, judged


def _judge(look: _Look) -> Verdicts:
    verdicts = {}
    for number, seen in look.judged.items() if look.spec.pruner.prunes else ():
        mine = look.tried[number]
        newest = max(mine.reports, default=0)
        if newest > seen:
            epoch, attributes = judge(look.search, look.tried, number, seen=seen)
            verdicts[number] = epoch, newest, attributes
    return verdicts


def _prune(session: Session, sweep: Sweep, verdicts: Verdicts) -> int:
    pruned = 0
    for number, (epoch, seen, attributes) in verdicts.items():
        trial = session.get_one(Trial, (sweep.id, number))
        trial.attributes, trial.judged_epoch = attributes, seen
        if epoch is not None and trial.open and trial.job_id is not None:
            reason = {"kind": "pruned", "epoch": epoch, "sweep": sweep.id}
            pruned += not jobs.prune(session, trial.job_id, reason=reason).status.terminal
    session.flush()
    return pruned


def _begin(
    session: Session,
    sweep: Sweep,
    spec: SweepSpec,
    found: list[Suggestion],
    state: dict[str, Any] | None,
) -> int:
    """Make trials of what was suggested, each within the budget; how many."""
    if not going(sweep) or not found:
        return 0
    _spend(session, sweep, found[0].number, len(found))
    schema = DatasetSchema.model_validate(sweep.dataset_version.schema)
    made: list[Trial] = []
    wanted: list[tuple[Trial, JobSpec]] = []
    for suggestion in found:
        trial = Trial(
            sweep_id=sweep.id,
            number=suggestion.number,
            point=suggestion.values,
            attributes=suggestion.attributes,
            status="open",
            shown=spec.mlflow == "all",
        )
        made.append(trial)
        try:
            wanted.append((trial, named(spec.at(suggestion.values), sweep, trial.number)))
        except ValidationError as error:
            # Each value fits alone; together they do not.
            reason = error.errors(include_url=False, include_context=False)[0]
            message = f"{'.'.join(map(str, reason['loc']))}: {reason['msg']}"
            trial.status, trial.told_at = "failed", now()
            trial.cause = {"kind": "user_error", "message": message}
    job_ids = jobs.submit_all(
        session,
        [(job, stack_key(job, schema, sweep.id)) for _, job in wanted],
        sweep.dataset_version,
        owner=sweep.owner,
        max_attempts=sweep.max_attempts,
    )
    for (trial, _), job_id in zip(wanted, job_ids, strict=True):
        trial.job_id = job_id
    session.add_all(made)
    sweep.state = state
    session.flush()
    return len(found)


def named(job: JobSpec, sweep: Sweep, number: int) -> JobSpec:
    """The job of a trial, with its number in the name and its sweep among the tags."""
    tags = {**job.tags, "chainrule.sweep": sweep.id}
    return job.model_copy(update={"name": f"{sweep.name[:230]} {number}", "tags": tags})


def _spend(session: Session, sweep: Sweep, first: int, count: int) -> None:
    """Take trials from the budget. Raises SupersededError when `first` is not the next one."""
    statement = (
        update(Sweep)
        .where(Sweep.id == sweep.id, Sweep.issued == first, Sweep.issued + count <= Sweep.n_trials)
        .values(issued=Sweep.issued + count)
        .returning(Sweep.issued)
    )
    if session.scalar(statement) is None:
        raise SupersededError(f"trial {first} of sweep {sweep.id} was begun by somebody else")


def _conclude(session: Session, sweep: Sweep) -> None:
    """A sweep has finished when a budget is spent and no trial is open."""
    session.refresh(sweep, ["issued"])
    if sweep.status.terminal or (sweep.issued < sweep.n_trials and not sweep.stopped_by):
        return
    left = select(Trial.number).where(Trial.sweep_id == sweep.id, Trial.status == "open").limit(1)
    if session.scalar(left) is None:
        stop_clock(session, sweep)
        sweep.status, sweep.finished_at = SweepStatus.FINISHED, now()
        session.flush()
        announce_end(session, sweep)
