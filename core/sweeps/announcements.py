"""Tell webhooks that a sweep has ended."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import notices
from core.db.tables import Sweep, Trial


def announce_end(session: Session, sweep: Sweep) -> None:
    """Leave a message that `sweep` has ended as its status says."""

    def told() -> dict[str, Any]:
        version = sweep.dataset_version
        counts = select(Trial.status, func.count()).where(Trial.sweep_id == sweep.id)
        trials = {str(row[0]): row[1] for row in session.execute(counts.group_by(Trial.status))}
        return {
            "id": sweep.id,
            "status": sweep.status.value,
            "name": sweep.name,
            "dataset": f"{version.dataset.name}@{version.version}",
            "owner": sweep.owner,
            "n_trials": sweep.n_trials,
            "trials": trials,
        }

    notices.announce(session, f"sweep.{sweep.status.value}", told)
