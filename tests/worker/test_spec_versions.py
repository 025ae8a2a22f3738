"""A spec with a field of the next release: it waits for a worker that knows it."""

import threading

import pytest
from pydantic import SecretStr
from sqlalchemy import update
from structlog.testing import capture_logs

from chainrule.contract.status import AttemptStatus, JobStatus
from core import nodes
from core.db.session import transaction
from core.db.tables import Job, Worker
from core.queue import make_celery, waiting
from core.spec.inference import EvaluationSpec
from core.spec.version import SPEC_VERSION
from tests.support.brokers import Broker
from tests.support.job_cases import NewerSpec, UnmarkedSpec
from tests.support.present import present
from tests.support.worker_cases import Bench
from worker.scheduler.__main__ import Scheduler


class UnmarkedEvaluation(EvaluationSpec):
    """The EvaluationSpec of another release, with a field that is not marked."""

    warp: int = 0


def waits_uncharged(bench: Bench, job_id: str) -> None:
    job = bench.job(job_id)
    assert (job.status, job.cause, job.infra_failures) == (JobStatus.QUEUED, None, 0)
    assert job.spec_version == SPEC_VERSION + 1


def test_it_is_left_to_newer_workers_and_the_message_passed_on(bench: Bench) -> None:
    job_id, known = bench.submit(kind=NewerSpec, warp=9, epochs=1), bench.submit(epochs=1)
    with transaction(bench.engine) as session:
        session.execute(update(Job).where(Job.id == job_id).values(published_at=Job.created_at))
    assert bench.slot.work(job_id) == 1
    waits_uncharged(bench, job_id)
    assert (bench.job(job_id).attempt, bench.job(job_id).published_at) == (0, None)
    assert bench.job(known).status is JobStatus.FINISHED


@pytest.mark.parametrize("stack_key", [None, "k"])
def test_one_that_was_not_marked_is_given_back_and_costs_nothing(
    bench: Bench, stack_key: str | None
) -> None:
    job_id = bench.submit(kind=UnmarkedSpec, stack_key=stack_key, epochs=1, max_attempts=1)
    other = bench.submit(stack_key=stack_key, epochs=1)
    bench.slot.work(job_id)
    waits_uncharged(bench, job_id)
    (attempt,) = bench.attempts(job_id)
    assert attempt.status is AttemptStatus.RELEASED
    assert present(attempt.cause)["kind"] == "unknown_spec"
    assert "warp: Extra inputs are not permitted" in present(attempt.cause)["message"]
    assert bench.job(other).status is JobStatus.FINISHED


def test_in_a_stack_it_does_not_fail_the_others(bench: Bench) -> None:
    first = bench.submit(stack_key="k", epochs=1, max_attempts=1)
    job_id = bench.submit(kind=UnmarkedSpec, stack_key="k", epochs=1, max_attempts=1)
    bench.slot.work(first)
    assert bench.job(first).status is JobStatus.FINISHED
    waits_uncharged(bench, job_id)


def test_an_evaluation_is_given_back_too(bench: Bench) -> None:
    trained = bench.submit(epochs=1)
    bench.slot.work(trained)
    job_id = bench.infer(UnmarkedEvaluation(dataset="digits@1", max_attempts=1), trained)
    bench.slot.work(job_id)
    waits_uncharged(bench, job_id)
    (attempt,) = bench.attempts(job_id)
    assert attempt.status is AttemptStatus.RELEASED


def test_the_scheduler_wakes_nobody_for_it_and_says_so_once(bench: Bench, broker: Broker) -> None:
    with transaction(bench.engine) as session:
        nodes.heartbeat(
            session, node="n", worker="w", host="h", pid=1, slots=1, queues=["cpu"], versions={}
        )
    bench.submit(kind=NewerSpec, warp=9)
    settings = bench.settings.model_copy(update={"broker_url": SecretStr(broker.url)})
    celery, scheduler = make_celery(settings), Scheduler(settings)
    ended = threading.Event()
    ended.set()
    try:
        with capture_logs() as logged:
            assert [scheduler.dispatch() for _ in range(3)] == [0, 0, 0]
        assert waiting(celery, "cpu") == 0
        (line,) = [one for one in logged if one["log_level"] == "warning"]
        assert line["event"] == "queued jobs need a worker of a newer release"
        assert (line["queue"], line["jobs"]) == ("cpu", 1)
        assert (line["spec_version"], line["workers_read"]) == (SPEC_VERSION + 1, SPEC_VERSION)
        with transaction(bench.engine) as session:
            session.execute(update(Worker).values(spec_version=SPEC_VERSION + 1))
        assert scheduler.dispatch() == 1
        assert waiting(celery, "cpu") == 1
    finally:
        scheduler.run(ended)  # closes what it opened
