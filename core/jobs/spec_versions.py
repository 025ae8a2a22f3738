"""Which workers can read the spec of a job: those that know its spec version."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chainrule.contract.status import JobKind, JobStatus
from core.db.tables import Job
from core.errors import InvalidError
from core.jobs.attempt.claims import Claim
from core.jobs.attempt.outcome import release_all
from core.jobs.attempt.ownership import own
from core.spec import JobSpec
from core.spec.base import Spec
from core.spec.inference import EvaluationSpec, ScoringSpec
from core.spec.version import SPEC_VERSION, completed

UNKNOWN_SPEC = "unknown_spec"
"""The `kind` of the cause of an attempt that was given back because its spec cannot be read."""

_SPECS: dict[JobKind, type[Spec]] = {
    JobKind.TRAIN: JobSpec,
    JobKind.EVALUATE: EvaluationSpec,
    JobKind.SCORE: ScoringSpec,
}
_MOST_ERRORS = 3


class UnknownSpecError(InvalidError):
    """A spec that was admitted by another release and that this one cannot read."""


def read(claim: Claim) -> Spec:
    """The spec of a claimed job. Raises UnknownSpecError."""
    try:
        return _SPECS[claim.kind].model_validate(claim.spec)
    except ValidationError as error:
        wrong = [
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)[:_MOST_ERRORS]
        ]
        raise UnknownSpecError(
            f"this release reads specs up to version {SPEC_VERSION}, not this: {'; '.join(wrong)}"
        ) from error


def completed_spec(job: Job) -> dict[str, Any]:
    """The stored spec of a job with all fields, as it can be submitted again."""
    return completed(_SPECS[job.kind], job.spec)


def decline(session: Session, job_id: str, attempt: int, error: UnknownSpecError) -> Job:
    """Give back a job whose spec this release cannot read because of `error`, uncharged.

    Only workers that know a higher spec version than this one may claim it then. Raises
    SupersededError.
    """
    job = own(session, job_id, attempt)
    job.spec_version = max(job.spec_version, SPEC_VERSION + 1)
    cause = {"kind": UNKNOWN_SPEC, "message": error.detail}
    release_all(session, {job_id: attempt}, cause=cause)
    return job


def beyond(session: Session, known: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """By queue the queued jobs whose spec none of its workers can read.

    `known` has the highest spec version that the workers of each queue read. Each value is the
    number of such jobs and the lowest version that one of them needs.
    """
    statement = (
        select(Job.queue, Job.spec_version, func.count())
        .where(Job.status == JobStatus.QUEUED, Job.spec_version > min(known.values(), default=0))
        .group_by(Job.queue, Job.spec_version)
    )
    unread: dict[str, tuple[int, int]] = {}
    for queue, version, count in session.execute(statement) if known else ():
        if version > known.get(queue, version):
            others, lowest = unread.get(queue, (0, version))
            unread[queue] = (others + count, min(lowest, version))
    return unread
