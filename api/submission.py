"""Who asks for a job, with which key of theirs, and what the answer says besides the job."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Response
from sqlalchemy.orm import Session

from api.auth import Owner
from api.context import Here
from api.parameters import IdempotencyKey
from api.resources.jobs import Job
from core import jobs
from core.datasets import resolve
from core.db import tables
from core.db.session import transaction
from core.errors import FieldError, InvalidError, NotFoundError


@dataclass
class JobRequest:
    """A request that queues a job."""

    here: Here
    owner: Owner
    response: Response
    idempotency_key: IdempotencyKey = None

    def queue(self, asked: Any, make: Callable[[Session, str], tables.Job]) -> Job:
        """Have `make` queue a job, given a hash of what is `asked`, unless the key made one before.

        Raises InvalidError when the key came with another request, and what `make` raises.
        """
        request_hash = jobs.spec_hash(asked)
        with transaction(self.here.engine) as session:
            row = None
            if self.idempotency_key is not None:
                row = jobs.submitted(
                    session,
                    owner=self.owner,
                    idempotency_key=self.idempotency_key,
                    request_hash=request_hash,
                )
            replayed = row is not None
            if row is None:
                row = make(session, request_hash)
            rung = jobs.may_ring(session, row)
            job = Job.with_attempts(row, jobs.attempts(session, row.id), self.here.settings)
        if replayed:
            self.response.headers["Idempotent-Replayed"] = "true"
        if rung:
            self.here.doorbell.ring(job.id, job.device)
        self.response.headers["Location"] = f"/v1/jobs/{job.id}"
        return job


Asking = Annotated[JobRequest, Depends()]
"""Parameter of an endpoint that queues a job."""


def version(session: Session, reference: str, field: str = "dataset") -> tables.DatasetVersion:
    """The dataset version that a `field` of a body names. Raises InvalidError with that field."""
    try:
        return resolve(session, reference)
    except NotFoundError as error:
        wrong = [FieldError(field, error.detail)]
        raise InvalidError(f"{field}: {error.detail}", wrong) from error
