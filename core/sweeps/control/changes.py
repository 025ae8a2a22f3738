"""Who changed a sweep, when and how: kept with its row, the newest last."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db.clock import now
from core.db.tables import Sweep

MOST_KEPT = 500


def note(session: Session, sweep: Sweep, owner: str, kind: str, **what: Any) -> None:
    """Remember that `owner` did something to a sweep: `edited`, `points_added`, `paused` ..."""
    moment = session.execute(select(now())).scalar_one()
    change = {"at": moment.isoformat(), "by": owner, "kind": kind, "what": what}
    sweep.changes = [*(sweep.changes or []), change][-MOST_KEPT:]
    session.flush()
