"""Submission of jobs and sweeps: at most one resource for each idempotency key."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Response
from sqlalchemy.orm import Session

from api.auth import Owner
from api.context import Here
from api.parameters import IdempotencyKey
from api.resources.jobs import Job
from api.resources.sweeps import Sweep
from core import jobs, models, nodes, sweeps
from core.data.table.schema import DatasetSchema
from core.datasets import resolve
from core.db import tables
from core.db.idempotency import KeyedRequest, Resource, once
from core.db.session import reading, transaction
from core.errors import FieldError, InvalidError, NotFoundError
from core.spec import JobSpec
from core.spec.inference import Inference, check


@dataclass
class Submission:
    """A request that creates a job or a sweep.

    Every method raises InvalidError when the idempotency key was used for another request.
    """

    here: Here
    owner: Owner
    response: Response
    idempotency_key: IdempotencyKey = None

    def job(self, body: dict[str, Any], make: Callable[[Session], tables.Job]) -> Job:
        """Queue the job that `make` creates, and wake a worker after the commit."""
        with transaction(self.here.engine) as session:
            row = self._once(session, body, partial(make, session), partial(jobs.get, session))
            publish = jobs.may_notify(session, row)
            queues = nodes.queue_workers(session)
            job = Job.with_attempts(row, jobs.attempts(session, row.id), self.here.settings, queues)
        if publish:
            self.here.wakeups.publish(job.id, job.device)
        self.response.headers["Location"] = f"/v1/jobs/{job.id}"
        return job

    def sweep(self, body: dict[str, Any], make: Callable[[Session], tables.Sweep]) -> Sweep:
        """Start the sweep that `make` creates."""
        with transaction(self.here.engine) as session:
            row = self._once(session, body, partial(make, session), partial(sweeps.get, session))
            sweep = Sweep.of(session, row)
        self.response.headers["Location"] = f"/v1/sweeps/{sweep.id}"
        return sweep

    def inference_with_model(self, spec: Inference, reference: str) -> Job:
        """Queue a job that uses a registered model. Raises as `inference_with_job` does."""
        with reading(self.here.engine) as session:
            version = models.resolve(session, reference)
            trained_id, name = version.job_id, f"{version.model.name}@{version.version}"
        return self._inference(spec, trained_id, name)

    def inference_with_job(self, spec: Inference, job_id: str) -> Job:
        """Queue a job that uses the model of a finished job.

        Returns the existing job if the same evaluation was requested before. Raises NotFoundError
        for an unknown job, ConflictError for a job without a model, and InvalidError with the path
        of each field that does not fit the model.
        """
        return self._inference(spec, job_id, f"job {job_id[:8]}")

    def _inference(self, spec: Inference, trained_id: str, name: str) -> Job:
        settings = self.here.settings

        def make(session: Session) -> tables.Job:
            # The lock makes a retention request, which erases unused models, wait for this job.
            trained = jobs.get(session, trained_id, lock=True)
            models.file_of(trained)
            data = dataset_version(session, spec.dataset)
            check(
                spec,
                JobSpec.model_validate(trained.spec),
                DatasetSchema.model_validate(trained.dataset_version.schema),
                DatasetSchema.model_validate(data.schema),
            )
            return jobs.infer(
                session,
                spec,
                trained,
                data,
                owner=self.owner,
                model=name,
                max_attempts=settings.max_attempts,
                max_queued=settings.max_queued_jobs,
            )

        return self.job({"model_job_id": trained_id, **spec.model_dump(mode="json")}, make)

    def _once(
        self,
        session: Session,
        body: dict[str, Any],
        make: Callable[[], Resource],
        get: Callable[[str], Resource],
    ) -> Resource:
        request = KeyedRequest(self.owner, self.idempotency_key, jobs.spec_hash(body))
        resource, replayed = once(session, request, make, get)
        if replayed:
            self.response.headers["Idempotent-Replayed"] = "true"
        return resource


Submitting = Annotated[Submission, Depends()]
"""Parameter of an endpoint that creates a job or a sweep."""


def dataset_version(
    session: Session, reference: str, field: str = "dataset"
) -> tables.DatasetVersion:
    """The dataset version that `field` of a body names. Raises InvalidError with that field."""
    try:
        return resolve(session, reference)
    except NotFoundError as error:
        raise InvalidError.of(FieldError(field, error.detail)) from error
