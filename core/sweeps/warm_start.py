"""What a sweep knows before its first trial: what others tried before it began."""

from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.db.tables import Sweep, Trial
from core.errors import FieldError, InvalidError
from core.search.study import Tried
from core.spec.sweep import SweepSpec
from core.sweeps.trial_outcome import tried

MOST_TRIALS = 10_000
_COUNTED = ("finished", "pruned")


def prior(session: Session, sweep: Sweep, spec: SweepSpec) -> list[Tried]:
    """The trials of earlier sweeps that had been told when `sweep` began, in their order.

    Later ones are never added: what a sampler knew at each moment can be told again.
    """
    found = []
    for earlier in spec.warm_start:
        rows = (
            select(Trial)
            .where(
                Trial.sweep_id == earlier,
                Trial.status.in_(_COUNTED),
                Trial.told_at <= sweep.created_at,
            )
            .order_by(Trial.number)
        )
        found += [tried(row) for row in session.scalars(rows) if row.objectives is not None]
    # What another sampler or pruner noted means nothing here.
    return [
        Tried(number, one.values, one.outcome, one.objectives) for number, one in enumerate(found)
    ]


def check_warm_start(session: Session, spec: SweepSpec) -> None:
    """Raise InvalidError naming what a sweep cannot begin from."""
    errors = [*_errors(session, spec)]
    if errors:
        raise InvalidError("; ".join(f"{one.path}: {one.message}" for one in errors), errors)


def _errors(session: Session, spec: SweepSpec) -> Iterator[FieldError]:
    if spec.warm_start and not spec.sampler.warms:
        kind = spec.sampler.kind
        message = f"{kind} learns nothing from trials that it did not choose; tpe does"
        yield FieldError("warm_start", message)
        return
    total = 0
    for index, sweep_id in enumerate(spec.warm_start):
        earlier = session.get(Sweep, sweep_id)
        if earlier is None:
            yield FieldError(f"warm_start[{index}]", f"there is no sweep {sweep_id}")
            continue
        given = earlier.spec["objective"]
        if given != spec.model_dump(mode="json")["objective"]:
            yield FieldError(f"warm_start[{index}]", f"its objective is another one: {given}")
        told = (Trial.sweep_id == sweep_id, Trial.status.in_(_COUNTED))
        total += session.execute(select(func.count()).where(*told)).scalar_one()
    if total > MOST_TRIALS:
        yield FieldError("warm_start", f"{total:,} trials; {MOST_TRIALS:,} at most")
