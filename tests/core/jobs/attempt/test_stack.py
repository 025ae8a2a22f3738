"""Jobs of a stack: what their worker repeats is written once."""

from sqlalchemy import Engine, select

from core import jobs
from core.db.session import reading, transaction
from core.db.tables import MetricChunk
from core.jobs.points import points as unpacked
from core.jobs.points import unpack
from tests.support.job_cases import LEASE, claimed, dataset_version, do, points, spec


def stacked(engine: Engine, count: int) -> dict[str, int]:
    """The attempts of `count` jobs that train side by side, by job."""
    with transaction(engine) as session:
        version = dataset_version(session)
        for _ in range(count):
            jobs.submit(session, spec(), version, owner="local", stack_key="s")
        first, *_ = (job.id for job in jobs.list_jobs(session).items)
    claim = claimed(engine, first)
    others = do(engine, jobs.claim_stack, claim, count - 1, lease_seconds=LEASE)
    assert len(others) == count - 1
    return {one.job_id: one.attempt for one in (claim, *others)}


def report(sequence: int, *steps: int) -> jobs.Report:
    return jobs.Report.of(sequence, points(*steps))


def written(engine: Engine, job_id: str) -> list[int]:
    """The steps of all chunks of a job, in their order."""
    with reading(engine) as session:
        statement = select(MetricChunk).where(MetricChunk.job_id == job_id).order_by(MetricChunk.id)
        return [
            point.step
            for chunk in session.scalars(statement)
            for point in unpacked(chunk.keys, unpack(chunk.points))
        ]


def test_a_chunk_that_is_reported_again_is_written_once(engine: Engine) -> None:
    """As after an answer that was lost; with a new one as well, and for some of the members."""
    owned = stacked(engine, 3)
    some = dict(list(owned.items())[:2])
    do(engine, jobs.write, owned, dict.fromkeys(some, report(1, 1, 2)))
    assert do(engine, jobs.write, owned, dict.fromkeys(owned, report(1, 1, 2))) == set(owned)
    assert do(engine, jobs.write, owned, dict.fromkeys(owned, report(2, 3))) == set(owned)
    assert do(engine, jobs.write, owned, dict.fromkeys(owned, report(1, 1, 2))) == set(owned)
    for job_id in owned:
        assert written(engine, job_id) == [1, 2, 3]
