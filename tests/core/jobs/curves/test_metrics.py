"""Metrics: packed, written once, and read as the one history that survived."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from chainrule.contract.status import JobStatus
from core import jobs
from core.db.session import reading
from core.db.tables import MetricChunk
from core.jobs.points import PACKED, Point, pack, unpack
from core.jobs.points import points as unpacked
from tests.support import single
from tests.support.job_cases import claimed, do, pass_time, points, queued

INTEGERS = st.integers(-(2**63), 2**63 - 1)


@given(
    st.lists(
        st.builds(
            Point,
            key=st.text(max_size=5),
            step=INTEGERS,
            epoch=INTEGERS,
            at_ms=INTEGERS,
            value=st.floats(),
        ),
        max_size=50,
    )
)
def test_packing_loses_nothing(given: list[Point]) -> None:
    keys, packed = pack(given)
    back = list(unpacked(keys, unpack(packed.tobytes())))
    assert [point[:4] for point in back] == [point[:4] for point in given]
    for left, right in zip(back, given, strict=True):
        assert left.value == right.value or (math.isnan(left.value) and math.isnan(right.value))


def steps(engine: Engine, job_id: str, key: str = "train/loss") -> list[int]:
    with reading(engine) as session:
        series = jobs.metrics(session, job_id).series
    return series[key]["step"].tolist() if key in series else []


def record(engine: Engine, claim: jobs.Claim, sequence: int, given: list[Point]) -> None:
    do(engine, single.record_metrics, claim.job_id, claim.attempt, sequence, given)


def resume_at(engine: Engine, claim: jobs.Claim, step: int) -> jobs.Claim:
    """Lose the attempt after a checkpoint at `step`; the next one's claim."""
    do(
        engine, jobs.record_checkpoint, claim.job_id, claim.attempt, step=step, epoch=0,
        key="k", size_bytes=1, digest="d",
    )  # fmt: skip
    do(engine, single.lose, claim.job_id, claim.attempt, cause={"kind": "signal"})
    pass_time(engine, 100)
    return claimed(engine, claim.job_id)


def test_points_come_back_by_metric_and_step(engine: Engine) -> None:
    claim = claimed(engine)
    mixed = [*points(1, 2), Point("valid/accuracy", 2, 1, 99, math.nan)]
    record(engine, claim, 0, mixed)
    record(engine, claim, 1, points(3))
    with reading(engine) as session:
        history = jobs.metrics(session, claim.job_id)
        only = jobs.metrics(session, claim.job_id, keys=["valid/accuracy"])
    assert list(history.series) == ["train/loss", "valid/accuracy"]
    assert history.series["train/loss"].dtype == PACKED
    assert history.series["train/loss"]["value"].tolist() == [1 / 2, 1 / 3, 1 / 4]
    (point,) = only.points()
    assert point[:4] == ("valid/accuracy", 2, 1, 99)
    assert math.isnan(point.value)


def test_a_chunk_is_written_once(engine: Engine) -> None:
    claim = claimed(engine)
    for sequence, chunk in ((0, points(1, 2)), (0, points(1, 2)), (1, points(3)), (2, [])):
        record(engine, claim, sequence, chunk)
    assert steps(engine, claim.job_id) == [1, 2, 3]
    with reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(MetricChunk)) == 2


def test_a_reader_continues_after_what_it_saw(engine: Engine) -> None:
    claim = claimed(engine)
    record(engine, claim, 0, points(1))
    with reading(engine) as session:
        first = jobs.metrics(session, claim.job_id)
        assert jobs.metrics(session, claim.job_id, after=first.cursor).series == {}
        assert jobs.metrics(session, claim.job_id, after=first.cursor).cursor == first.cursor
    record(engine, claim, 1, points(2))
    with reading(engine) as session:
        later = jobs.metrics(session, claim.job_id, after=first.cursor)
    assert [point.step for point in later.points()] == [2]
    assert later.cursor > first.cursor


def test_what_lay_beyond_the_checkpoint_is_superseded(engine: Engine) -> None:
    claim = claimed(engine)
    record(engine, claim, 0, points(*range(1, 11), at_ms=1000))
    second = resume_at(engine, claim, 6)
    assert steps(engine, claim.job_id) == [1, 2, 3, 4, 5, 6]
    record(engine, second, 0, points(7, 8, at_ms=2000))
    with reading(engine) as session:
        series = jobs.metrics(session, claim.job_id).series["train/loss"]
    assert series["step"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert series["at_ms"].tolist() == [1001, 1002, 1003, 1004, 1005, 1006, 2007, 2008]


def test_an_attempt_from_the_start_supersedes_all(engine: Engine) -> None:
    claim = claimed(engine)
    record(engine, claim, 0, points(1, 2, 3))
    do(engine, single.lose, claim.job_id, 1, cause={"kind": "signal"})
    second = claimed(engine, claim.job_id)
    assert steps(engine, claim.job_id) == []
    record(engine, second, 0, points(1))
    assert steps(engine, claim.job_id) == [1]


def test_a_later_fallback_supersedes_through_all_earlier_attempts(engine: Engine) -> None:
    first = claimed(engine)
    record(engine, first, 0, points(1, 2, 3, 4))
    second = resume_at(engine, first, 3)
    record(engine, second, 0, points(4, 5, 6))
    third = resume_at(engine, second, 6)
    do(engine, jobs.resumed, third.job_id, third.attempt, 2)
    assert steps(engine, first.job_id) == [1, 2]
    record(engine, third, 0, points(3, 4))
    assert steps(engine, first.job_id) == [1, 2, 3, 4]


def test_points_at_the_checkpoint_itself_are_not_doubled(engine: Engine) -> None:
    claim = claimed(engine)
    record(engine, claim, 0, points(1, 2, at_ms=1000))
    second = resume_at(engine, claim, 2)
    record(engine, second, 0, points(2, 3, at_ms=2000))
    with reading(engine) as session:
        series = jobs.metrics(session, claim.job_id).series["train/loss"]
    assert series["step"].tolist() == [1, 2, 3]
    assert series["at_ms"].tolist() == [1001, 2002, 2003]


def test_history_stays_after_the_end(engine: Engine) -> None:
    claim = claimed(engine)
    record(engine, claim, 0, points(1, 2))
    do(engine, single.finish, claim.job_id, 1, JobStatus.FINISHED)
    assert steps(engine, claim.job_id) == [1, 2]


def test_many_points_are_read_fast_as_arrays(engine: Engine) -> None:
    claim = claimed(engine)
    record(engine, claim, 0, points(*range(20_000)))
    with reading(engine) as session:
        series = jobs.metrics(session, claim.job_id).series["train/loss"]
    np.testing.assert_array_equal(series["step"], np.arange(20_000))


@pytest.mark.parametrize("interrupted_at", [[], [3], [3, 3], [9, 4, 1], [0]])
def test_interrupted_history_equals_undisturbed_one(
    engine: Engine, interrupted_at: list[int]
) -> None:
    claim, start = claimed(engine, queued(engine, max_attempts=9).id), 0
    for number, step in enumerate(interrupted_at):
        record(engine, claim, 0, points(*range(start + 1, start + 12), at_ms=number))
        claim = resume_at(engine, claim, step)
        start = step
    record(engine, claim, 0, points(*range(start + 1, 16)))
    with reading(engine) as session:
        got = [(p.step, p.value) for p in jobs.metrics(session, claim.job_id).points()]
    assert got == [(p.step, p.value) for p in points(*range(1, 16))]
