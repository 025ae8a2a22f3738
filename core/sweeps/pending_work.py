"""Whether there is anything to do about a sweep: asked several times a second, so by index."""

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from core.db.tables import Fold, Job, Sweep, Trial
from core.status import TERMINAL, SweepStatus


def stirs(session: Session, sweep_id: str) -> bool:
    """Whether a trial can be told or begun, or something may have to be judged or stopped."""
    spec = Sweep.spec
    watched = (
        spec["pruner"]["kind"].as_string() != "none",
        spec["budget"]["seconds"].as_float().is_not(None),
        spec["budget"]["epochs"].as_integer().is_not(None),
    )
    room = Sweep.issued < Sweep.n_trials, Sweep.status == SweepStatus.RUNNING
    columns = select(*watched, *room, Sweep.stopped_by.is_(None), Sweep.max_parallel)
    found = session.execute(columns.where(Sweep.id == sweep_id)).one_or_none()
    if found is None:
        return False
    *watching, left, running, affordable, most = found
    mine = Trial.sweep_id == sweep_id, Trial.status == "open"
    going_on = session.execute(select(func.count()).where(*mine)).scalar_one()
    if any(watching) or not going_on:
        return True
    if left and running and affordable and going_on < most:
        return True
    ended = Job.status.in_(list(TERMINAL))
    alone = exists().where(*mine, Job.id == Trial.job_id, ended)
    folds = Fold.sweep_id == Trial.sweep_id, Fold.number == Trial.number
    folded = exists().where(*mine, *folds, Job.id == Fold.job_id, ended)
    return bool(session.execute(select(alone | folded)).scalar_one())
