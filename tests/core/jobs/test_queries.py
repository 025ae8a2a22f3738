"""Reading: pages that miss and repeat nothing, filters, checkpoints that may go."""

import pytest
from sqlalchemy import Engine

from chainrule.contract.status import JobStatus
from core import jobs
from core.db.session import reading, transaction
from core.errors import InvalidError, NotFoundError
from tests.support.job_cases import claimed, dataset_version, do, queued, spec


def pages(engine: Engine, limit: int, **filters: object) -> list[list[str]]:
    found, cursor = [], None
    with reading(engine) as session:
        for _ in range(99):
            page = jobs.list_jobs(session, cursor=cursor, limit=limit, **filters)  # type: ignore[arg-type]
            found.append([job.id for job in page.items])
            if page.next is None:
                return found
            cursor = page.next
    raise AssertionError("the pages do not end")


def test_pages_hold_each_job_once_newest_first(engine: Engine) -> None:
    made = [queued(engine).id for _ in range(7)]
    parts = pages(engine, 3)
    assert [len(part) for part in parts] == [3, 3, 1]
    found = [job_id for part in parts for job_id in part]
    assert sorted(found) == sorted(made)
    with reading(engine) as session:
        moments = [jobs.get(session, job_id).created_at for job_id in found]
    assert moments == sorted(moments, reverse=True)
    assert pages(engine, 7) == [found]


def test_jobs_of_one_moment_are_paged_too(engine: Engine) -> None:
    with transaction(engine) as session:
        version = dataset_version(session)
        made = [jobs.submit(session, spec(), version, owner="a") for _ in range(5)]
        for job in made:
            job.created_at = made[0].created_at
    found = [job_id for part in pages(engine, 2) for job_id in part]
    assert sorted(found) == sorted(job.id for job in made)


def test_filters(engine: Engine) -> None:
    one = queued(engine, owner="ada", name="x", experiment="e1", tags={"team.x": "a", "b": "c"})
    two = queued(engine, owner="bob", name="y", experiment="e2", tags={"team.x": "b"})
    do(engine, jobs.cancel, two.id)
    with transaction(engine) as session:
        other = dataset_version(session, "digits", 2)
    three = do(engine, jobs.submit, spec(), other, owner="eve")
    assert pages(engine, 9, owner="ada") == [[one.id]]
    assert pages(engine, 9, name="y") == [[two.id]]
    assert pages(engine, 9, experiment="e1") == [[one.id]]
    assert pages(engine, 9, experiment="none") == [[]]
    assert pages(engine, 9, tags={"team.x": "a", "b": "c"}) == [[one.id]]
    assert pages(engine, 9, tags={"team.x": "a", "b": "d"}) == [[]]
    assert pages(engine, 9, status=[JobStatus.CANCELLED]) == [[two.id]]
    assert pages(engine, 9, dataset="digits@2") == [[three.id]]
    assert len(pages(engine, 9, dataset="digits")[0]) == 3
    assert pages(engine, 9, dataset="digits@x") == [[]]
    assert pages(engine, 9, dataset="digits@" + "9" * 40) == [[]]


@pytest.mark.parametrize(
    "cursor", ["", "x", "!!", "MTIz", "LnjDpA", "OTk5OTk5OTk5OTk5OTk5OTk5OTkuYQ"]
)
def test_a_cursor_no_page_gave_is_refused(engine: Engine, cursor: str) -> None:
    with pytest.raises(InvalidError) as caught:
        do(engine, jobs.list_jobs, cursor=cursor)
    assert caught.value.errors[0].path == "cursor"


def test_an_unknown_job_is_not_found(engine: Engine) -> None:
    for job_id in ("0" * 32, "", "\U0001f600", "' OR 1=1 --"):
        with pytest.raises(NotFoundError, match="there is no job"):
            do(engine, jobs.get, job_id)


def test_a_text_with_nul_is_not_found_either(engine: Engine) -> None:
    # PostgreSQL cannot even be asked for it.
    refused = NotFoundError if engine.dialect.name == "sqlite" else InvalidError
    with pytest.raises(refused):
        do(engine, jobs.get, "a\x00b")


def saved(engine: Engine, claim: jobs.Claim, step: int, *, best: bool = False) -> str:
    row = do(
        engine, jobs.record_checkpoint, claim.job_id, claim.attempt, step=step, epoch=0,
        key=f"k{step}", size_bytes=1, digest="d", best=best,
    )  # fmt: skip
    return row.id


def test_newest_and_best_checkpoints_are_kept(engine: Engine) -> None:
    claim = claimed(engine)
    ids = [saved(engine, claim, step, best=step == 2) for step in range(1, 6)]
    spare = do(engine, jobs.spare_checkpoints, claim.job_id, keep=2)
    assert [row.id for row in spare] == [ids[2], ids[0]]
    saved(engine, claim, 6, best=True)
    spare = do(engine, jobs.spare_checkpoints, claim.job_id, keep=2)
    assert [row.id for row in spare] == [ids[3], ids[2], ids[1], ids[0]]


def test_recording_a_checkpoint_twice_is_recording_it_once(engine: Engine) -> None:
    claim = claimed(engine)
    assert saved(engine, claim, 1) == saved(engine, claim, 1)
    assert len(do(engine, jobs.checkpoints, claim.job_id)) == 1


def test_an_unreadable_checkpoint_gives_way_to_the_one_before(engine: Engine) -> None:
    claim = claimed(engine)
    first, second = saved(engine, claim, 1), saved(engine, claim, 2)
    do(engine, jobs.forget_checkpoint, second)
    assert do(engine, jobs.get, claim.job_id).checkpoint_id == first
    do(engine, jobs.forget_checkpoint, second)
    do(engine, jobs.forget_checkpoint, first)
    assert do(engine, jobs.get, claim.job_id).checkpoint_id is None
    assert do(engine, jobs.checkpoints, claim.job_id) == []
