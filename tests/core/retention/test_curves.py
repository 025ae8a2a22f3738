"""Long curves of old jobs keep their outline; each job is examined once."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select

from core import jobs
from core.db.session import reading
from core.db.tables import Job
from core.retention import Storage, curves
from tests.core.retention.cases import DAY, applied, left
from tests.support.clocks import StandingClock


def lengths(storage: Storage, ids: Sequence[str]) -> list[int]:
    with reading(storage.engine) as session:
        return [len(jobs.metrics(session, job_id).series["train/loss"]) for job_id in ids]


def test_long_curves_of_old_jobs_become_short(storage: Storage, clock: StandingClock) -> None:
    old = [left(storage, count=3000), left(storage, count=900)]
    clock.advance(2 * DAY)
    newer = left(storage, count=3000)
    freed = applied(storage, curves.metrics(1))
    assert [item.job_id for item in freed.items] == old[:1]
    assert freed.bytes == freed.items[0].bytes >= 2000 * jobs.PACKED.itemsize
    long, *others = lengths(storage, [*old, newer])
    assert long <= 1000
    assert others == [900, 3000]
    with reading(storage.engine) as session:
        examined = set(session.scalars(select(Job.id).where(Job.thinned_at.is_not(None))))
    assert examined == set(old)
    assert list(curves.metrics(1).apply(storage)) == []


def test_curves_stay_until_mlflow_has_them(storage: Storage, clock: StandingClock) -> None:
    job_id = left(storage, count=1500)
    clock.advance(2 * DAY)
    assert not applied(replace(storage, mirrored_only=True), curves.metrics(1))
    assert lengths(storage, [job_id]) == [1500]


def test_two_schedulers_thin_a_curve_once(storage: Storage, clock: StandingClock) -> None:
    job_id = left(storage, count=1500)
    clock.advance(2 * DAY)
    first, second = (curves.metrics(1).apply(storage) for _ in range(2))
    assert not next(first)
    assert not next(second)
    assert next(first)
    assert not next(second)
    assert lengths(storage, [job_id])[0] <= 1000
