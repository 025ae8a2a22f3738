"""What the schema refuses by itself, whatever the code asks."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from chainrule.contract.status import JobStatus
from core.db.session import transaction
from tests.support import single
from tests.support.job_cases import claimed, do, points, queued


def run(engine: Engine, statement: str, **values: object) -> None:
    with transaction(engine) as session:
        session.execute(text(statement), values)


def refused(engine: Engine, message: str, statement: str, **values: object) -> None:
    with pytest.raises(IntegrityError, match=message):
        run(engine, statement, **values)


CHUNK = (
    "INSERT INTO metric_chunks (job_id, attempt, sequence, keys, points, count, first_step,"
    " last_step, created_at) VALUES (:id, :attempt, 9, '[]', '', 0, 0, 0, 0)"
)
CHECKPOINT = (
    "INSERT INTO checkpoints (id, job_id, attempt, step, epoch, key, bytes, digest, best,"
    " created_at) VALUES ('c', :id, :attempt, 1, 0, 'k', 1, 'd', FALSE, 0)"
)


@pytest.mark.parametrize("attempt", [0, 3, 7])
def test_attempts_count_up_by_one(engine: Engine, attempt: int) -> None:
    claim = claimed(engine)
    refused(
        engine,
        "only ever grows by one",
        "UPDATE jobs SET attempt = :n WHERE id = :id",
        n=attempt,
        id=claim.job_id,
    )


def test_a_job_runs_only_as_a_new_attempt(engine: Engine) -> None:
    job = queued(engine)
    statement = "UPDATE jobs SET status = 'running', lease_until = 1 WHERE id = :id"
    refused(engine, "only as a new attempt", statement, id=job.id)


@pytest.mark.parametrize(
    "change",
    [
        "status = 'queued', finished_at = NULL",
        "status = 'failed'",
        "finished_at = 1",
        "attempt = attempt + 1",
        "result = '{}'",
        "cause = '{}'",
    ],
)
def test_an_end_is_final(engine: Engine, change: str) -> None:
    claim = claimed(engine)
    do(engine, single.finish, claim.job_id, 1, JobStatus.FINISHED, result={"a": 1})
    statement = f"UPDATE jobs SET {change} WHERE id = :id"
    refused(engine, "ended never changes", statement, id=claim.job_id)
    run(engine, "UPDATE jobs SET mlflow_run_id = 'r' WHERE id = :id", id=claim.job_id)


@pytest.mark.parametrize("change", ["spec = '{}'", "spec_hash = 'x'"])
def test_a_spec_is_fixed(engine: Engine, change: str) -> None:
    job = queued(engine)
    statement = f"UPDATE jobs SET {change} WHERE id = :id"
    refused(engine, "spec of a job never changes", statement, id=job.id)


def test_an_attempt_ends_once(engine: Engine) -> None:
    claim = claimed(engine)
    do(engine, single.release, claim.job_id, 1)
    refused(engine, "ended never changes", "UPDATE attempts SET status = 'lost'")
    refused(engine, "ended never changes", "UPDATE attempts SET ended_at = 5")


@pytest.mark.parametrize("statement", [CHUNK, CHECKPOINT], ids=["chunk", "checkpoint"])
def test_only_the_running_attempt_leaves_anything(engine: Engine, statement: str) -> None:
    claim = claimed(engine)
    refused(engine, "only the running attempt", statement, id=claim.job_id, attempt=2)
    do(engine, single.release, claim.job_id, 1)
    refused(engine, "only the running attempt", statement, id=claim.job_id, attempt=1)
    claimed(engine, claim.job_id)
    refused(engine, "only the running attempt", statement, id=claim.job_id, attempt=1)
    run(engine, statement, id=claim.job_id, attempt=2)


def test_written_metrics_are_fixed(engine: Engine) -> None:
    claim = claimed(engine)
    do(engine, single.record_metrics, claim.job_id, 1, 0, points(1))
    refused(engine, "never change", "UPDATE metric_chunks SET points = ''")
    refused(engine, "never change", "UPDATE metric_chunks SET sequence = 4")
    refused(engine, "never change", "UPDATE metric_chunks SET points = '', count = 0")
    run(engine, "UPDATE metric_chunks SET mirrored_at = 4")


def test_metrics_of_ended_jobs_may_only_become_fewer(engine: Engine) -> None:
    claim = claimed(engine)
    do(engine, single.record_metrics, claim.job_id, 1, 0, points(1))
    do(engine, single.finish, claim.job_id, 1, JobStatus.CANCELLED)
    refused(engine, "never change", "UPDATE metric_chunks SET points = ''")
    refused(engine, "never change", "UPDATE metric_chunks SET count = 0, attempt = 2")
    run(engine, "UPDATE metric_chunks SET points = '', count = 0")


def test_what_happened_is_fixed(engine: Engine) -> None:
    queued(engine)
    refused(engine, "what happened never changes", "UPDATE job_events SET actor = 'x'")


@pytest.mark.parametrize(
    "change",
    ["lease_until = NULL", "status = 'finished', lease_until = NULL", "status = 'unknown'"],
)
def test_states_are_whole(engine: Engine, change: str) -> None:
    claim = claimed(engine)
    refused(engine, "ck_jobs", f"UPDATE jobs SET {change} WHERE id = :id", id=claim.job_id)
