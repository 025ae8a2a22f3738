"""Filters by metric and time, and lists sorted by them, page by page."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from core import jobs
from core.db.session import reading, transaction
from core.errors import InvalidError
from tests.support.job_cases import do, queued

KEY = "valid/accuracy"


def with_metric(engine: Engine, value: Any, *, final: Any = None) -> str:
    """The id of a new job with the last value of a metric in its progress and its result."""
    job_id = queued(engine).id
    with transaction(engine) as session:
        job = jobs.get(session, job_id)
        job.progress = {"last": {KEY: value}}
        if final is not None:
            job.result = {"metrics": {KEY: final}}
    return job_id


def listed(engine: Engine, limit: int, sort: str, *conditions: str) -> list[str]:
    """The ids of all pages."""
    ids: list[str] = []
    cursor = None
    with reading(engine) as session:
        for _ in range(99):
            page = jobs.list_jobs(
                session,
                metrics=[jobs.MetricCondition.parse(text) for text in conditions],
                order=jobs.Order.parse(sort),
                cursor=cursor,
                limit=limit,
            )
            ids += [job.id for job in page.items]
            if (cursor := page.next) is None:
                return ids
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("limit", [1, 2, 9])
def test_jobs_are_sorted_by_a_metric_and_those_without_it_are_left_out(
    engine: Engine, limit: int
) -> None:
    middle = with_metric(engine, 0.5)
    high = with_metric(engine, 0.1, final=0.9)
    low = with_metric(engine, 1 / 3)
    same = sorted([middle, with_metric(engine, 0.5)])
    for value in (float("nan"), float("inf"), None, "text"):
        with_metric(engine, value)
    queued(engine)
    assert listed(engine, limit, f"-{KEY}") == [high, *reversed(same), low]
    assert listed(engine, limit, KEY) == [low, *same, high]


def test_jobs_are_filtered_by_metrics(engine: Engine) -> None:
    low, high = with_metric(engine, 0.25), with_metric(engine, 0.75)
    with_metric(engine, float("inf"))
    with_metric(engine, float("nan"))
    for text, expected in (
        (">=0.75", [high]), (">0.75", []), ("<0.75", [low]), ("<=0.25", [low]), ("=0.25", [low]),
        (">0", [low, high]), (">-1e300", [low, high]),
    ):  # fmt: skip
        assert sorted(listed(engine, 9, "-created_at", KEY + text)) == sorted(expected), text
    assert listed(engine, 9, "created_at", f"{KEY}>0.5", f"{KEY}<0.6") == []


def test_jobs_are_sorted_by_times(engine: Engine) -> None:
    made = [queued(engine).id for _ in range(3)]
    with transaction(engine) as session:
        rows = [jobs.get(session, job_id) for job_id in made]
        for number, row in enumerate(rows[1:]):
            row.created_at = rows[0].created_at + timedelta(seconds=1 + number)
    assert listed(engine, 2, "created_at") == made
    assert listed(engine, 2, "-created_at") == made[::-1]
    assert listed(engine, 2, "-finished_at") == []
    do(engine, jobs.cancel, made[1])
    assert listed(engine, 2, "-finished_at") == [made[1]]


def test_jobs_are_filtered_by_the_time_of_creation(engine: Engine) -> None:
    first, second = queued(engine).id, queued(engine).id
    with transaction(engine) as session:
        moment = jobs.get(session, first).created_at
        jobs.get(session, second).created_at = moment + timedelta(seconds=5)
    later = moment + timedelta(seconds=5)
    for span, expected in (
        ((later, None), [second]), ((None, later), [first]), ((moment, later), [first]),
        ((later + timedelta(seconds=1), None), []),
    ):  # fmt: skip
        page = do(engine, jobs.list_jobs, created=span)
        assert [job.id for job in page.items] == expected


@pytest.mark.parametrize("text", ["loss", "loss>", "loss>x", "loss>nan", "l oss>1", "loss>1e999"])
def test_a_condition_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="write KEY>=NUMBER"):
        jobs.MetricCondition.parse(text)


def test_a_cursor_of_another_order_is_refused(engine: Engine) -> None:
    with_metric(engine, 0.5)
    with_metric(engine, 0.5)
    page = do(engine, jobs.list_jobs, order=jobs.Order(KEY), limit=1)
    for order in (jobs.Order(KEY, descending=False), jobs.Order("other"), jobs.Order()):
        with pytest.raises(InvalidError, match="the cursor is wrong"):
            do(engine, jobs.list_jobs, order=order, cursor=page.next)
