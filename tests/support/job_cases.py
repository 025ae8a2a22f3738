"""Fixtures for tests of jobs: a dataset version, a spec, a queued job, a claim."""

import uuid
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from core import jobs
from core.db.session import transaction
from core.db.tables import Dataset, DatasetVersion, Job
from core.family import Since
from core.spec import JobSpec
from core.spec.job import DIGITS
from core.spec.version import SPEC_VERSION

Result = TypeVar("Result")

LEASE = 30.0


class NewerSpec(JobSpec):
    """The JobSpec of a later release that marks its new field."""

    warp: Annotated[int, Since(SPEC_VERSION + 1)] = 0


class UnmarkedSpec(JobSpec):
    """The JobSpec of another release that does not."""

    warp: int = 0


def do(engine: Engine, use_case: Callable[..., Result], *given: Any, **named: Any) -> Result:
    """The use case in a transaction of its own."""
    with transaction(engine) as session:
        return use_case(session, *given, **named)


def spec(kind: type[JobSpec] = JobSpec, **fields: Any) -> JobSpec:
    """A valid spec with some fields changed."""
    return kind.model_validate({**DIGITS, **fields})


def dataset_version(session: Session, name: str = "digits", version: int = 1) -> DatasetVersion:
    """A row for `name@version`, made when it is missing."""
    dataset = session.query(Dataset).filter_by(name=name).one_or_none() or Dataset(name=name)
    session.add(dataset)
    session.flush()
    row = (
        session.query(DatasetVersion)
        .filter_by(dataset_id=dataset.id, version=version)
        .one_or_none()
    )
    if row is not None:
        return row
    row = DatasetVersion(
        dataset=dataset,
        version=version,
        digest=uuid.uuid4().hex * 2,
        rows=1797,
        bytes=1000,
        schema={"rows": 1797, "columns": []},
        format="csv",
    )
    session.add(row)
    session.flush()
    return row


def queued(engine: Engine, *, owner: str = "local", **fields: Any) -> Job:
    """A job that waits. `fields` change its spec."""
    with transaction(engine) as session:
        return jobs.submit(session, spec(**fields), dataset_version(session), owner=owner)


def claimed(engine: Engine, job_id: str | None = None, *, worker: str = "w1") -> jobs.Claim:
    """A claim of a waiting job (made when none is named)."""
    claim = do(
        engine,
        jobs.claim,
        job_id or queued(engine).id,
        node="n1",
        worker=worker,
        lease_seconds=LEASE,
    )
    assert claim is not None
    return claim


def pass_time(engine: Engine, seconds: float) -> None:
    """Let `seconds` pass for leases, backoffs and wake-ups: move their times into the past."""
    columns = ("lease_until", "not_before", "published_at", "heartbeat_at", "mirror_not_before")
    moved = ", ".join(f"{column} = {column} - {round(seconds * 1000)}" for column in columns)
    with transaction(engine) as session:
        session.execute(text(f"UPDATE jobs SET {moved}"))
        free = f"mirror_not_before = mirror_not_before - {round(seconds * 1000)}"
        session.execute(text(f"UPDATE models SET {free}"))


def points(*steps: int, key: str = "train/loss", at_ms: int = 0) -> list[jobs.Point]:
    """A point of `key` for each step, whose value follows from the step."""
    return [jobs.Point(key, step, step // 10, at_ms + step, 1 / (1 + step)) for step in steps]
