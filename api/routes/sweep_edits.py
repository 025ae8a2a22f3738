"""Change a sweep that has begun: its budget and space, points of one's own, failed trials again."""

from fastapi import APIRouter

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.http.strict_body import Exact
from api.parameters import SweepId
from api.resources.sweeps import Sweep, SweepChange
from core import sweeps
from core.db.session import reading, transaction
from core.spec.sweep import Points, SweepChanges

router = APIRouter(prefix="/v1/sweeps", tags=["sweeps"], responses=problems(*ALWAYS))


@router.patch("/{sweep_id}", responses=problems(403, 404, 409, 413, 415, 422))
def edit_sweep(sweep_id: SweepId, changes: Exact[SweepChanges], here: Here, owner: Owner) -> Sweep:
    """Change how many trials there will be, how many at once, the space, sampler or pruner.

    What was tried is kept and stays known to the sampler where it fits the space. More trials let a
    sweep that has finished go on.
    """
    with transaction(here.engine) as session:
        row = sweeps.edit(
            session,
            sweep_id,
            changes,
            max_weights_bytes=here.settings.max_weights_bytes,
            owner=owner,
        )
        return Sweep.of(session, row)


@router.post(
    "/{sweep_id}/trials", status_code=202, responses=problems(403, 404, 409, 413, 415, 422)
)
def add_trials(sweep_id: SweepId, given: Exact[Points], here: Here, owner: Owner) -> Sweep:
    """Try these points next: each is a trial more."""
    with transaction(here.engine) as session:
        return Sweep.of(session, sweeps.add_points(session, sweep_id, given.points, owner=owner))


@router.post("/{sweep_id}/retry", status_code=202, responses=problems(403, 404, 409, 422))
def retry_trials(sweep_id: SweepId, here: Here, owner: Owner) -> Sweep:
    """Try again each trial whose job failed, under its number; the others are left alone."""
    with transaction(here.engine) as session:
        sweeps.retry_failed(session, sweep_id, owner=owner)
        return Sweep.of(session, sweeps.get(session, sweep_id))


@router.get("/{sweep_id}/changes", responses=problems(404, 422))
def read_changes(sweep_id: SweepId, here: Here, _: Owner) -> list[SweepChange]:
    """Who edited, paused, resumed, cancelled or retried the sweep, and how; the newest last."""
    with reading(here.engine) as session:
        found = sweeps.get(session, sweep_id).changes or []
    return [SweepChange.model_validate(one) for one in found]
