"""Take back the jobs of attempts that stopped renewing their lease."""

import time
from collections.abc import Callable

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus
from core.db.clock import now
from core.db.session import transaction
from core.db.tables import Job
from core.errors import UnavailableError
from core.jobs.attempt.outcome import Loss, lose_rows
from core.jobs.history import SCHEDULER

LOST_WORKER = "lost_worker"
"""The `kind` of the cause of an attempt that stopped renewing its lease."""


def reap(session: Session, *, limit: int = 100) -> list[Job]:
    """Lose the attempts whose lease ran out; their jobs, in the state they have now.

    A row that another transaction locks is left for the next call. The scheduler calls this through
    a Reaper, which knows when leases ran out because the database itself was away.
    """
    statement = (
        select(Job)
        .where(Job.status == JobStatus.RUNNING, Job.lease_until < now())
        .order_by(Job.lease_until)
        .limit(limit)
        .with_for_update(of=Job, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    reaped = list(session.scalars(statement))
    lose_rows(session, reaped, _silence)
    return reaped


def _silence(job: Job) -> Loss:
    message = f"worker {job.worker} on node {job.node} stopped renewing its lease"
    return Loss({"kind": LOST_WORKER, "message": message}, actor=SCHEDULER)


class Reaper:
    """Reaps, but only after the database answered for a whole lease without a gap.

    During an outage of the database no worker can renew. After it, each healthy worker renews
    within a lease; reaping earlier would restart all jobs. The same holds when the scheduler itself
    was frozen together with the workers: a late `look` starts the wait again.
    """

    def __init__(
        self,
        engine: Engine,
        lease_seconds: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._lease_seconds = lease_seconds
        self._monotonic = monotonic
        self._up_since: float | None = None
        self._looked_at = 0.0

    def look(self) -> list[str]:
        """Reap if the database was up long enough; the ids of the jobs taken back.

        Call it about every tenth of a lease. Raises UnavailableError when the database does not
        answer.
        """
        started_at = self._monotonic()
        if self._up_since is None or started_at - self._looked_at > self._lease_seconds / 2:
            self._up_since = started_at
        waited = started_at - self._up_since >= self._lease_seconds
        reaped: list[Job] = []
        try:
            with transaction(self._engine) as session:
                session.execute(select(now()))
                if self._monotonic() - started_at > self._lease_seconds / 3:
                    # The answer was so late that renewals may have waited as long.
                    self._up_since = None
                elif waited:
                    reaped = reap(session)
        except UnavailableError:
            self._up_since = None
            raise
        self._looked_at = self._monotonic()
        return [job.id for job in reaped]
