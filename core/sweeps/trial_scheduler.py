"""Advance a sweep: tell what ended, prune what will not be among the best, begin new trials.

Three steps, so that no transaction is open while the sampler thinks: take a turn and read, think,
write. What is written names the turn and is refused when a later one was taken meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Engine, exists, or_, select, update
from sqlalchemy.orm import Session, load_only

from core import jobs
from core.db.clock import later, now
from core.db.session import reading, transaction
from core.db.tables import Job, Sweep, Trial
from core.errors import SupersededError
from core.search.study import Suggestion
from core.search.study_cache import Notebook
from core.spec import JobSpec
from core.spec.sweep import SweepSpec
from core.status import TERMINAL, SweepStatus
from core.sweeps.announcements import announce_end
from core.sweeps.budget import exhausted, going, limited, spent, stop, stop_clock
from core.sweeps.leaderboard import costs, joined
from core.sweeps.pending_work import stirs
from core.sweeps.queries import get, spec_of
from core.sweeps.snapshot import Look, Memory, look
from core.sweeps.trial_jobs import beside_jobs, cross_validated, in_order, job_ids, submit
from core.sweeps.trial_outcome import spoiling, tell

TURN_SECONDS = 60.0

_SLIM = (
    load_only(Job.status, Job.progress, Job.result, Job.cause, Job.cancel_requested_at),
    *jobs.ALONE,
)
"""What is read of a job to tell how its trial ended."""

Verdicts = Mapping[int, tuple[int | None, int, dict[str, Any]]]
"""By trial: the epoch to prune it at or None, the last one seen, and its attributes."""


@dataclass(frozen=True)
class Advance:
    """What a turn did: trials told, pruned and begun."""

    told: int = 0
    pruned: int = 0
    begun: int = 0


def unfinished(session: Session) -> list[str]:
    """The ids of sweeps that somebody should advance, oldest first."""
    left = exists().where(Trial.sweep_id == Sweep.id, Trial.status == "open")
    statement = select(Sweep.id).where(or_(Sweep.status == SweepStatus.RUNNING, left))
    return list(session.scalars(statement.order_by(Sweep.created_at, Sweep.id)))


def advance(engine: Engine, sweep_id: str, memory: Memory | None = None) -> Advance:
    """Take a turn at a sweep; what was done.

    What `memory` holds since the last turn is not read again. Nothing while there is nothing to do,
    or somebody else has a turn. Raises UnavailableError when the database does not answer,
    SupersededError when this took so long that another one took over: then nothing was begun.
    """
    with reading(engine) as session:
        if not stirs(session, sweep_id):
            return Advance()
    with transaction(engine) as session:
        turn = _take_turn(session, sweep_id)
        if turn is None:
            return Advance()
        told = _tell(session, sweep_id)
    memory = memory or Memory()
    held = memory.take(sweep_id, turn)
    with reading(engine) as session:
        seen = look(session, sweep_id, turn, held, told)
    verdicts = _judge(seen)
    found, state = _ask(sweep_id, seen)
    with transaction(engine) as session:
        sweep = _own(session, sweep_id, turn)
        pruned = _prune(session, sweep, verdicts)
        begun, refused = _begin(session, sweep, seen.spec, found, state)
        _conclude(session, sweep)
        sweep.turn_until = now()
    # One that no job can have has failed already: not as it was noted.
    if not refused and begun == len(found):
        memory.keep(sweep_id, seen.held)
    return Advance(len(told), pruned, begun)


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


def _tell(session: Session, sweep_id: str) -> list[int]:
    """Let trials end whose jobs did; their numbers."""
    sweep = get(session, sweep_id, lock=True)
    spec = spec_of(sweep)
    moment = session.execute(select(now())).scalar_one()
    told = []
    for trial, mine in _ending(session, sweep):
        if not tell(spec, trial, mine, moment):
            _stop_others(session, spec, mine)
            continue
        told.append(trial.number)
        if trial.finished and sweep.leading is not None:
            standing = trial.number, costs(sweep.spec, trial.objectives or ())
            sweep.leading = joined([(n, tuple(c)) for n, c in sweep.leading], standing)
        sweep.epochs_told += sum(int((job.progress or {}).get("epoch", 0)) for job in mine)
    session.flush()
    if going(sweep) and limited(spec):
        gone = exhausted(spec, spent(session, sweep))
        if gone is not None:
            stop(session, sweep, gone)
    return told


def _ending(session: Session, sweep: Sweep) -> list[tuple[Trial, list[Job]]]:
    """Open trials of which a job has ended, by number, each with all of its jobs."""
    is_open, ended = Trial.status == "open", Job.status.in_(list(TERMINAL))
    statement = beside_jobs(sweep, Trial, Job).where(is_open).order_by(*in_order(sweep))
    statement = statement.options(*_SLIM)
    if cross_validated(sweep):
        some = beside_jobs(sweep, Trial.number).where(is_open, ended)
        statement = statement.where(Trial.number.in_(some))
    else:
        statement = statement.where(ended)
    found: dict[int, tuple[Trial, list[Job]]] = {}
    for trial, job in session.execute(statement):
        found.setdefault(trial.number, (trial, []))[1].append(job)
    return list(found.values())


def _stop_others(session: Session, spec: SweepSpec, mine: Sequence[Job]) -> None:
    """End the folds that go on for nothing: one without which the trial cannot finish is over."""
    broken = spoiling(spec, mine)
    if broken is None:
        return
    for job in mine:
        if not job.status.terminal and job.cancel_requested_at is None:
            jobs.stop(session, job.id, reason={"kind": "fold_ended", "fold": broken[0]})


def _judge(look: Look) -> Verdicts:
    held = look.held
    if held is None or not look.spec.pruner.prunes:
        return {}
    verdicts = {}
    for number in sorted(held.open):
        newest = max(held.notebook[number].reports, default=0)
        if newest > held.judged[number]:
            epoch, attributes = held.notebook.judge(number, seen=held.judged[number])
            verdicts[number] = epoch, newest, attributes
            held.judged[number] = newest
    return verdicts


def _ask(sweep_id: str, look: Look) -> tuple[list[Suggestion], dict[str, Any] | None]:
    if not look.wanted:
        return [], look.state
    held = look.held
    notebook = Notebook(look.spec.search(sweep_id), []) if held is None else held.notebook
    found, state = notebook.ask(
        look.wanted, state=look.state, wanted=look.chosen, begun=look.issued
    )
    if held is not None:
        held.open |= {one.number for one in found}
        held.judged |= dict.fromkeys((one.number for one in found), 0)
    return found, state


def _prune(session: Session, sweep: Sweep, verdicts: Verdicts) -> int:
    pruned = 0
    rows = select(Trial).where(Trial.sweep_id == sweep.id, Trial.number.in_(verdicts))
    judged = {trial.number: trial for trial in session.scalars(rows)} if verdicts else {}
    known = job_ids(
        session, sweep, [n for n, verdict in verdicts.items() if verdict[0] is not None]
    )
    for number, (epoch, seen, attributes) in verdicts.items():
        trial = judged[number]
        trial.attributes, trial.judged_epoch = attributes, seen
        if epoch is not None and trial.open:
            reason = {"kind": "pruned", "epoch": epoch, "sweep": sweep.id}
            mine = [jobs.prune(session, one, reason=reason) for one in known[number]]
            pruned += not all(job.status.terminal for job in mine)
    session.flush()
    return pruned


def _begin(
    session: Session,
    sweep: Sweep,
    spec: SweepSpec,
    found: list[Suggestion],
    state: dict[str, Any] | None,
) -> tuple[int, int]:
    """Make trials of what was suggested, each within the budget; how many, how many in vain."""
    if not going(sweep) or not found:
        return 0, 0
    _spend(session, sweep, found[0].number, len(found))
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
            wanted.append((trial, spec.at(suggestion.values)))
        except ValidationError as error:
            # Each value fits alone; together they do not.
            reason = error.errors(include_url=False, include_context=False)[0]
            message = f"{'.'.join(map(str, reason['loc']))}: {reason['msg']}"
            trial.status, trial.told_at = "failed", now()
            trial.cause = {"kind": "user_error", "message": message}
    folds = submit(session, sweep, spec, wanted)
    session.add_all(made)
    sweep.state = state
    session.flush()
    session.add_all(folds)
    return len(found), len(found) - len(wanted)


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
