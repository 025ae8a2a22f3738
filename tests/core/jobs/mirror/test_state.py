"""Mirroring: MLflow gets everything once, with the times that were sent before."""

import math
from collections import Counter
from random import Random

import pytest
from sqlalchemy import Engine

from chainrule.contract.metric_names import MACHINE
from chainrule.contract.status import JobStatus
from core import jobs
from core.db.mirrored import back_off, record_run
from core.db.session import reading
from core.db.tables import Job
from core.jobs import Point
from tests.core.jobs.curves.test_metrics import record, resume_at
from tests.support import single
from tests.support.job_cases import claimed, do, pass_time, points, queued


def behind(engine: Engine) -> list[str]:
    with reading(engine) as session:
        return jobs.behind(session, trials=False)


def mirror(engine: Engine, job_id: str, limit: int = 20) -> list[jobs.Point]:
    """Mark one batch as sent; its points."""
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
def test_a_point_sent_again_at_the_step_of_a_checkpoint_is_shown_once(
    engine: Engine, mirrored_between: bool
) -> None:
    claim = claimed(engine)
    record(engine, claim, 0, points(1, 2, at_ms=1000))
    shown = mirror(engine, claim.job_id) if mirrored_between else []
    second = resume_at(engine, claim, 2)
    record(engine, second, 0, points(2, 3, at_ms=2000))
    shown += mirror(engine, claim.job_id)
    assert sorted({(p.step, p.at_ms) for p in shown}) == [(1, 1001), (2, 1002), (3, 2003)]


class Shown:
    """A run as MLflow keeps it: what equals a point in key, step, value and moment is that point.

    A batch is sent, marked, or both: what stands between the two is a mirror that was killed.
    """

    def __init__(self, engine: Engine, job_id: str) -> None:
        self.engine, self.job_id = engine, job_id
        self.rows: set[tuple[str, int, int, str]] = set()

    def send(self, limit: int = 20, *, marked: bool = True) -> jobs.Unmirrored:
        """Send a batch; what was sent, for a mark that comes later."""
        batch = do(self.engine, jobs.unmirrored, self.job_id, limit=limit)
        self.take(batch)
        if marked:
            self.mark(batch)
        return batch

    def take(self, batch: jobs.Unmirrored) -> None:
        self.rows |= {(p.key, p.step, p.at_ms, repr(p.value)) for p in batch.points}

    def mark(self, batch: jobs.Unmirrored) -> None:
        do(self.engine, jobs.mark_mirrored, batch.chunk_ids)

    @property
    def twice(self) -> list[tuple[str, int]]:
        """Steps of metrics that have several points."""
        places = Counter((key, step) for key, step, *_ in self.rows)
        return [place for place, count in places.items() if count > 1]

    @property
    def steps(self) -> set[tuple[str, int]]:
        return {(key, step) for key, step, *_ in self.rows}


@pytest.mark.parametrize("marked", [True, False])
def test_a_chunk_that_was_sent_and_not_marked_is_not_shown_twice(
    engine: Engine, marked: bool
) -> None:
    claim = claimed(engine)
    shown = Shown(engine, claim.job_id)
    record(engine, claim, 0, points(1, 2, 3, 4, at_ms=1000))
    shown.send(marked=marked)
    second = resume_at(engine, claim, 2)
    record(engine, second, 0, points(3, 4, 5, at_ms=2000))
    shown.send()
    assert shown.twice == []
    assert shown.steps == {("train/loss", step) for step in range(1, 6)}


@pytest.mark.parametrize("marked", [(1, 1), (1, 0), (0, 1), (0, 0)])
def test_a_third_attempt_repeats_what_the_first_one_showed(
    engine: Engine, marked: tuple[int, int]
) -> None:
    claim = claimed(engine, queued(engine, max_attempts=9).id)
    shown = Shown(engine, claim.job_id)
    for attempt in range(3):
        record(engine, claim, 0, points(3, 4, 5, 6 + attempt, at_ms=1000 * attempt))
        if attempt < 2:
            shown.send(marked=bool(marked[attempt]))
            claim = resume_at(engine, claim, 2)
    shown.send()
    assert shown.twice == []
    assert shown.steps == {("train/loss", step) for step in (3, 4, 5, 6, 7, 8)}
    assert {at for _, step, at, _ in shown.rows if step < 6} == {3, 4, 5}


def test_values_that_are_no_numbers_or_differ_are_not_shown_twice(engine: Engine) -> None:
    claim = claimed(engine)
    shown = Shown(engine, claim.job_id)
    record(engine, claim, 0, [Point("a", 3, 0, 1, math.nan), Point("b", 3, 0, 1, 0.5)])
    shown.send(marked=False)
    second = resume_at(engine, claim, 2)
    record(engine, second, 0, [Point("a", 3, 0, 9, math.nan), Point("b", 3, 0, 9, 0.25)])
    shown.send()
    assert shown.rows == {("a", 3, 1, "nan"), ("b", 3, 1, "0.5")}


def test_a_machine_is_shown_at_each_of_its_moments(engine: Engine) -> None:
    key = f"{MACHINE}cpu_utilization_percentage"
    claim = claimed(engine)
    shown = Shown(engine, claim.job_id)
    record(engine, claim, 0, [Point(key, 7, 0, at, 50.0) for at in (1, 2, 3)])
    shown.send(marked=False)
    shown.send()
    assert sorted(at for _, _, at, _ in shown.rows) == [1, 2, 3]


@pytest.mark.parametrize("seed", range(12))
def test_no_life_of_a_job_shows_a_step_twice(engine: Engine, seed: int) -> None:
    """Attempts lost anywhere; mirrors killed before, between and after sending and marking."""
    rng = Random(seed)
    claim = claimed(engine, queued(engine, max_attempts=99).id)
    shown = Shown(engine, claim.job_id)
    unfinished: list[jobs.Unmirrored] = []
    at_ms = sequence = 0
    position = 1
    for _ in range(60):
        what = rng.choice(["write", "write", "send", "frozen", "thawed", "lost"])
        if what == "write":
            at_ms, sequence = at_ms + 1000, sequence + 1
            steps = range(position, position + rng.randint(1, 5))
            record(engine, claim, sequence, points(*steps, at_ms=at_ms))
            position = steps.stop
        elif what == "send":
            shown.send(rng.randint(1, 4), marked=rng.random() < 0.5)
        elif what == "frozen":
            unfinished.append(do(engine, jobs.unmirrored, claim.job_id, limit=rng.randint(1, 4)))
        elif what == "thawed" and unfinished:
            batch = unfinished.pop(rng.randrange(len(unfinished)))
            shown.take(batch)
            if rng.random() < 0.5:
                shown.mark(batch)
        elif what == "lost":
            position, sequence = rng.randint(0, position - 1), 0
            claim = resume_at(engine, claim, position)
            position += 1
    while do(engine, jobs.unmirrored, claim.job_id).chunk_ids:
        shown.send()
    assert shown.twice == []
    with reading(engine) as session:
        history = jobs.metrics(session, claim.job_id)
    assert {(p.key, p.step) for p in history.points()} <= shown.steps


def test_a_job_is_behind_until_its_end_and_all_points_are_sent(engine: Engine) -> None:
    claim = claimed(engine)
    assert behind(engine) == []
    record(engine, claim, 0, points(1))
    do(engine, single.finish, claim.job_id, 1, JobStatus.FINISHED)
    assert behind(engine) == [claim.job_id]
    assert do(engine, jobs.record_mirrored, claim.job_id, JobStatus.FINISHED) is False
    mirror(engine, claim.job_id)
    assert do(engine, jobs.record_mirrored, claim.job_id, JobStatus.FAILED) is False
    assert behind(engine) == [claim.job_id]
    assert do(engine, jobs.record_mirrored, claim.job_id, JobStatus.FINISHED) is True
    assert behind(engine) == []


def test_a_job_that_waits_again_is_behind_only_with_a_run(engine: Engine) -> None:
    claim = claimed(engine)
    do(engine, single.release, claim.job_id, 1)
    assert behind(engine) == []
    do(engine, record_run, Job, claim.job_id, "run1")
    assert behind(engine) == [claim.job_id]
    do(engine, jobs.record_mirrored, claim.job_id, JobStatus.QUEUED)
    assert behind(engine) == []
    queued(engine)
    assert behind(engine) == []


def test_a_job_has_one_run(engine: Engine) -> None:
    job = queued(engine)
    assert do(engine, record_run, Job, job.id, "a") == "a"
    assert do(engine, record_run, Job, job.id, "b") == "a"


def test_failures_let_a_job_rest_longer_and_longer(engine: Engine) -> None:
    job = queued(engine)
    do(engine, jobs.cancel, job.id)
    for pause in (1, 2, 4):
        do(engine, back_off, Job, job.id)
        assert behind(engine) == []
        pass_time(engine, pause - 0.5)
        assert behind(engine) == []
        pass_time(engine, 0.5)
        assert behind(engine) == [job.id]
    for _ in range(30):
        do(engine, back_off, Job, job.id)
    pass_time(engine, 60)
    assert behind(engine) == [job.id]


def test_a_lost_run_is_sent_again(engine: Engine) -> None:
    claim = claimed(engine)
    do(engine, record_run, Job, claim.job_id, "a")
    record(engine, claim, 0, points(1))
    do(engine, single.finish, claim.job_id, 1, JobStatus.FINISHED)
    mirror(engine, claim.job_id)
    do(engine, jobs.record_mirrored, claim.job_id, JobStatus.FINISHED)
    do(engine, jobs.forget_run, claim.job_id)
    assert behind(engine) == [claim.job_id]
    assert [p.step for p in mirror(engine, claim.job_id)] == [1]
    assert do(engine, record_run, Job, claim.job_id, "b") == "b"


def test_lag_counts_what_is_untold(engine: Engine) -> None:
    assert do(engine, jobs.mirror_lag) == (0, 0.0)
    claim = claimed(engine)
    record(engine, claim, 0, points(1))
    count, seconds = do(engine, jobs.mirror_lag)
    assert count == 1
    assert seconds >= 0
    mirror(engine, claim.job_id)
    assert do(engine, jobs.mirror_lag) == (0, 0.0)
