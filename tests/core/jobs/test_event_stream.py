"""A reader of a job's happenings misses nothing and sees nothing twice, wherever it goes on."""

import pytest
from sqlalchemy import Engine

from chainrule.contract.status import JobStatus
from core import jobs
from core.db.session import reading
from core.db.tables import JobEvent, LogLine
from core.errors import InvalidError
from core.jobs import Line, Position
from tests.support import single
from tests.support.job_cases import claimed, do, pass_time, points, queued


def looked(engine: Engine, job_id: str, position: Position = Position()) -> jobs.Updates:  # noqa: B008
    with reading(engine) as session:
        return jobs.updates_since(session, job_id, position)


def shown(updates: list[jobs.Update]) -> list[str]:
    """What happened, in words that compare."""
    found = []
    for update in updates:
        match update.content:
            case JobEvent():
                found.append(update.content.kind)
            case LogLine():
                found.append(update.content.text)
            case batch:
                found.append(" ".join(str(point.step) for point in batch))
    return found


def streamed(engine: Engine, job_id: str, position: Position = Position()) -> list[str]:  # noqa: B008
    """All that a reader gets who looks again and again until the job is over."""
    found = []
    while True:
        page = looked(engine, job_id, position)
        found += shown(page.items)
        position = page.items[-1].position if page.items else position
        if page.over or not page.items:
            return found


def chunk(engine: Engine, claim: jobs.Claim, number: int, *steps: int, said: str = "") -> None:
    lines = [Line(number, "info", said)] if said else []
    given = [point for step in steps for point in points(step)]
    do(engine, single.record_metrics, claim.job_id, claim.attempt, number, given, lines=lines)


def test_points_lines_and_changes_come_in_order_until_the_end(engine: Engine) -> None:
    claim = claimed(engine)
    chunk(engine, claim, 1, 1, 2, said="begun")
    chunk(engine, claim, 2, 3)
    assert not looked(engine, claim.job_id).over
    do(engine, single.finish, claim.job_id, claim.attempt, JobStatus.FINISHED, result={})
    found = streamed(engine, claim.job_id)
    assert sorted(found) == sorted(["submitted", "claimed", "1 2", "begun", "3", "finished"])
    assert found[0] == "submitted"
    assert found[-1] == "finished"


def test_who_goes_on_from_any_place_gets_the_rest(engine: Engine) -> None:
    claim = claimed(engine)
    for number in range(1, 50):
        chunk(engine, claim, number, number, said=f"line {number}" if number % 3 == 0 else "")
    do(engine, single.finish, claim.job_id, claim.attempt, JobStatus.FINISHED, result={})
    everything = streamed(engine, claim.job_id)
    assert len(everything) == len(set(everything)) == 49 + 16 + 3
    position, seen = Position(), 0
    while seen < len(everything):
        news = looked(engine, claim.job_id, position).items
        position, seen = news[0].position, seen + 1
        again = Position.parse(str(position))
        assert streamed(engine, claim.job_id, again) == everything[seen:]


def test_what_a_later_attempt_repeats_is_left_out(engine: Engine) -> None:
    first = claimed(engine)
    chunk(engine, first, 1, 1, 2, 3)
    do(
        engine, jobs.record_checkpoint, first.job_id, first.attempt, step=2, epoch=0,
        key="k", size_bytes=1, digest="d",
    )  # fmt: skip
    do(engine, single.lose, first.job_id, first.attempt, cause={"kind": "signal"})
    pass_time(engine, 100)
    second = claimed(engine, first.job_id)
    chunk(engine, second, 1, 3, 4)
    found = streamed(engine, first.job_id)
    assert [one for one in found if one[0].isdigit()] == ["1 2", "3 4"]


def test_of_two_points_of_a_metric_at_one_step_the_last_is_sent(engine: Engine) -> None:
    claim = claimed(engine)
    step, epoch = (jobs.Point("train/loss", 7, 1, 0, value) for value in (0.5, 0.25))
    do(engine, single.record_metrics, claim.job_id, claim.attempt, 1, [step, *points(8), epoch])
    [news] = [
        update.content
        for update in looked(engine, claim.job_id).items
        if isinstance(update.content, list)
    ]
    assert {(point.step, point.value) for point in news} >= {(7, 0.25)}
    assert [point.step for point in news] == [7, 8]


def test_a_line_is_kept_once_however_often_it_is_written(engine: Engine) -> None:
    claim = claimed(engine)
    lines = [Line(number, "info", f"said {number}") for number in (1, 2)]
    for _ in range(2):
        do(engine, single.record_metrics, claim.job_id, claim.attempt, 1, [], lines=lines)
    beyond = [Line(jobs.MOST_LINES + 1, "info", "too much")]
    do(engine, single.record_metrics, claim.job_id, claim.attempt, 2, [], lines=beyond)
    with reading(engine) as session:
        assert [one.text for one in jobs.log_lines(session, claim.job_id)] == ["said 1", "said 2"]


@pytest.mark.parametrize("text", ["", "1.2", "1.2.3.4", "a.b.c", "-1.0.0", "1.2." + "9" * 19])
def test_a_place_that_nobody_gave_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="is not the id of an event"):
        Position.parse(text)


def test_a_job_that_nobody_claimed_has_only_been_submitted(engine: Engine) -> None:
    job_id = queued(engine).id
    page = looked(engine, job_id)
    assert (shown(page.items), page.over) == (["submitted"], False)
