"""Changes of running sweeps: edit, add trials, retry failed trials."""

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
    """Change the number of trials, the parallelism, the search space, the sampler or the pruner.

    Existing trials are kept, and the sampler uses those that fit the new space. Adding trials
    restarts a finished sweep.
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
def add_trials(sweep_id: SweepId, body: Exact[Points], here: Here, owner: Owner) -> Sweep:
    """Add a trial for each point; they run next."""
    with transaction(here.engine) as session:
        return Sweep.of(session, sweeps.add_points(session, sweep_id, body.points, owner=owner))


@router.post("/{sweep_id}/retry", status_code=202, responses=problems(403, 404, 409, 422))
def retry_trials(sweep_id: SweepId, here: Here, owner: Owner) -> Sweep:
    """Retry all failed trials under their numbers."""
    with transaction(here.engine) as session:
        sweeps.retry_failed(session, sweep_id, owner=owner)
        return Sweep.of(session, sweeps.get(session, sweep_id))


@router.get("/{sweep_id}/changes", responses=problems(404, 422))
def read_changes(sweep_id: SweepId, here: Here, _: Owner) -> list[SweepChange]:
    """List who edited, paused, resumed, cancelled or retried a sweep, oldest first."""
    with reading(here.engine) as session:
        changes = sweeps.get(session, sweep_id).changes or []
    return [SweepChange.model_validate(change) for change in changes]
