"""Mirroring: MLflow is told everything once, with the moments it was told before."""

import pytest
from sqlalchemy import Engine

from core import jobs
from core.db.session import reading
from core.db.tables import Job
from core.db.turns import fail_turn
from core.status import JobStatus
from tests.core.jobs.test_metrics import record, resume_at
from tests.jobcases import claimed, do, pass_time, points, queued


def behind(engine: Engine) -> list[str]:
    with reading(engine) as session:
        return jobs.behind(session, trials=False)


def mirror(engine: Engine, job_id: str, limit: int = 20) -> list[jobs.Point]:
    """Tell a pretended MLflow one batch; the points told."""
    batch = do(engine, jobs.unmirrored, job_id, limit=limit)
    do(engine, jobs.mark_mirrored, batch.chunk_ids)
    return batch.points


def test_chunks_are_handed_over_in_order_once(engine: Engine) -> None:
    claim = claimed(engine)
    for number in range(5):
        record(engine, claim, number, points(number))
    assert [p.step for p in mirror(engine, claim.job_id, 2)] == [0, 1]
    assert [p.step for p in mirror(engine, claim.job_id, 9)] == [2, 3, 4]
    assert mirror(engine, claim.job_id) == []


def test_superseded_points_are_left_out(engine: Engine) -> None:
    claim = claimed(engine)
    record(engine, claim, 0, points(1, 2, 3, 4))
    second = resume_at(engine, claim, 2)
    record(engine, second, 0, points(3, 4, 5))
    assert [p.step for p in mirror(engine, claim.job_id)] == [1, 2, 3, 4, 5]


def test_what_was_shown_before_is_shown_with_the_same_moment(engine: Engine) -> None:
    claim = claimed(engine)
    record(engine, claim, 0, points(1, 2, 3, 4, at_ms=1000))
    mirror(engine, claim.job_id)
    second = resume_at(engine, claim, 2)
    record(engine, second, 0, points(3, 4, 5, at_ms=2000))
    assert [p.at_ms for p in mirror(engine, claim.job_id)] == [1003, 1004, 2005]


@pytest.mark.parametrize("mirrored_between", [True, False])
def test_a_point_told_again_at_the_step_of_a_checkpoint_is_shown_once(
    engine: Engine, mirrored_between: bool
) -> None:
    claim = claimed(engine)
    record(engine, claim, 0, points(1, 2, at_ms=1000))
    shown = mirror(engine, claim.job_id) if mirrored_between else []
    second = resume_at(engine, claim, 2)
    record(engine, second, 0, points(2, 3, at_ms=2000))
    shown += mirror(engine, claim.job_id)
    assert sorted({(p.step, p.at_ms) for p in shown}) == [(1, 1001), (2, 1002), (3, 2003)]


def test_a_job_is_behind_until_its_end_and_all_points_are_told(engine: Engine) -> None:
    claim = claimed(engine)
    assert behind(engine) == []
    record(engine, claim, 0, points(1))
    do(engine, jobs.finish, claim.job_id, 1, JobStatus.FINISHED)
    assert behind(engine) == [claim.job_id]
    assert do(engine, jobs.record_mirrored, claim.job_id, JobStatus.FINISHED) is False
    mirror(engine, claim.job_id)
    assert do(engine, jobs.record_mirrored, claim.job_id, JobStatus.FAILED) is False
    assert behind(engine) == [claim.job_id]
    assert do(engine, jobs.record_mirrored, claim.job_id, JobStatus.FINISHED) is True
    assert behind(engine) == []


def test_a_job_that_waits_again_is_behind_only_with_a_run(engine: Engine) -> None:
    claim = claimed(engine)
    do(engine, jobs.release, claim.job_id, 1)
    assert behind(engine) == []
    do(engine, jobs.record_run, claim.job_id, "run1")
    assert behind(engine) == [claim.job_id]
    do(engine, jobs.record_mirrored, claim.job_id, JobStatus.QUEUED)
    assert behind(engine) == []
    queued(engine)
    assert behind(engine) == []


def test_a_job_has_one_run(engine: Engine) -> None:
    job = queued(engine)
    assert do(engine, jobs.record_run, job.id, "a") == "a"
    assert do(engine, jobs.record_run, job.id, "b") == "a"


def test_failures_let_a_job_rest_longer_and_longer(engine: Engine) -> None:
    job = queued(engine)
    do(engine, jobs.cancel, job.id)
    for pause in (1, 2, 4):
        do(engine, fail_turn, Job, job.id)
        assert behind(engine) == []
        pass_time(engine, pause - 0.5)
        assert behind(engine) == []
        pass_time(engine, 0.5)
        assert behind(engine) == [job.id]
    for _ in range(30):
        do(engine, fail_turn, Job, job.id)
    pass_time(engine, 60)
    assert behind(engine) == [job.id]


def test_a_lost_run_is_told_anew(engine: Engine) -> None:
    claim = claimed(engine)
    do(engine, jobs.record_run, claim.job_id, "a")
    record(engine, claim, 0, points(1))
    do(engine, jobs.finish, claim.job_id, 1, JobStatus.FINISHED)
    mirror(engine, claim.job_id)
    do(engine, jobs.record_mirrored, claim.job_id, JobStatus.FINISHED)
    do(engine, jobs.forget_run, claim.job_id)
    assert behind(engine) == [claim.job_id]
    assert [p.step for p in mirror(engine, claim.job_id)] == [1]
    assert do(engine, jobs.record_run, claim.job_id, "b") == "b"


def test_lag_counts_what_is_untold(engine: Engine) -> None:
    assert do(engine, jobs.mirror_lag) == (0, 0.0)
    claim = claimed(engine)
    record(engine, claim, 0, points(1))
    count, seconds = do(engine, jobs.mirror_lag)
    assert count == 1
    assert seconds >= 0
    mirror(engine, claim.job_id)
    assert do(engine, jobs.mirror_lag) == (0, 0.0)
