"""Jobs trained side by side, with a real runner and real databases: each ends as it would alone."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from chainrule.contract.status import AttemptStatus, JobStatus
from core import jobs
from core.db.session import transaction
from core.spec import JobSpec
from core.spec.job import DIGITS
from core.spec.stack import stack_key
from tests.support import single
from tests.support.databases import PostgresServer
from tests.support.present import present
from tests.support.sweep_cases import schema
from tests.support.worker_cases import LONG, Bench, until

KEY = "k" * 64
SHORT_LEASE = 4.0


def adam(rate: float) -> dict[str, Any]:
    return {"kind": "adam", "learning_rate": rate}


def submitted(bench: Bench, count: int, **fields: Any) -> list[str]:
    """Jobs of one stack key with rates and seeds of their own."""
    return [
        bench.submit(stack_key=KEY, seed=seed, optimizer=adam(0.0005 * (seed + 1)), **fields)
        for seed in range(count)
    ]


def outcomes(bench: Bench, job_ids: list[str]) -> list[Any]:
    """What each job learned, and what its row and curves show."""
    return [
        (
            job.status,
            present(job.result)["weights_digest"],
            present(job.result)["metrics"],
            {
                name: present(job.progress)[name]
                for name in ("step", "epoch", "last", "best", "weights")
            },
            bench.history(job.id),
        )
        for job in map(bench.job, job_ids)
    ]


def test_each_gives_what_it_gives_alone(bench: Bench) -> None:
    together = submitted(bench, 3, epochs=3)
    assert bench.slot.work(together[0]) == 1
    alone = [
        bench.submit(seed=seed, optimizer=adam(0.0005 * (seed + 1)), epochs=3) for seed in range(3)
    ]
    bench.slot.work(alone[0])
    assert outcomes(bench, together) == outcomes(bench, alone)
    for job_id in together:
        (attempt,) = bench.attempts(job_id)
        assert attempt.status is AttemptStatus.FINISHED
        assert attempt.worker == "bench-1"
        assert attempt.peak_memory_bytes
    events = [event.kind for event in history(bench, together[2])]
    assert events == ["submitted", "claimed", "finished"]


def history(bench: Bench, job_id: str) -> list[Any]:
    with transaction(bench.engine) as session:
        return jobs.events(session, job_id)


def test_points_are_written_while_they_train_and_one_that_explodes_fails_alone(
    bench: Bench,
) -> None:
    good = bench.submit(stack_key=KEY, optimizer={"kind": "sgd", "learning_rate": 0.1}, **LONG)
    bad = bench.submit(stack_key=KEY, optimizer={"kind": "sgd", "learning_rate": 1e30}, **LONG)
    with bench.working(good):
        until(lambda: bench.job(bad).status is JobStatus.FAILED)
        assert present(bench.job(bad).cause)["kind"] == "user_error"
        until(lambda: len(bench.history(good).get("train/loss", [])) > 3)
        assert bench.job(good).status is JobStatus.RUNNING
        assert present(bench.job(good).progress)["epoch"] > 0


def test_cancelling_pruning_and_pausing_are_of_one_member(bench: Bench) -> None:
    ids = submitted(bench, 4, **LONG)
    with bench.working(ids[0]):
        until(lambda: all(bench.job(job_id).status is JobStatus.RUNNING for job_id in ids))
        with transaction(bench.engine) as session:
            jobs.cancel(session, ids[1], owner="local")
            jobs.prune(session, ids[2], reason={"kind": "pruned", "epoch": 1})
            jobs.pause(session, ids[3], owner="local")
        until(lambda: bench.job(ids[1]).status is JobStatus.CANCELLED)
        until(lambda: bench.job(ids[2]).status is JobStatus.PRUNED)
        until(lambda: bench.job(ids[3]).status is JobStatus.PAUSED)
        assert bench.job(ids[0]).status is JobStatus.RUNNING
    # Draining gave the last one back, not charged.
    assert bench.job(ids[0]).status is JobStatus.QUEUED
    assert bench.job(ids[0]).infra_failures == 0
    assert bench.attempts(ids[0])[0].status is AttemptStatus.RELEASED


def test_when_the_runner_dies_each_is_trained_alone(bench: Bench) -> None:
    ids = submitted(bench, 3, epochs=400)
    with bench.working(ids[0]):
        until(lambda: bench.history(ids[2]).get("train/loss"))
        os.kill(present(bench.equipment.runner_pid), signal.SIGKILL)
        until(lambda: all(bench.job(job_id).status is JobStatus.FINISHED for job_id in ids))
    for job_id in ids:
        assert bench.job(job_id).stack_key is None
        assert bench.job(job_id).infra_failures == 0
        first, second = bench.attempts(job_id)
        assert first.status is AttemptStatus.RELEASED
        assert present(first.cause)["kind"] == "runner_died" or "signal" in str(first.cause)
        assert second.status is AttemptStatus.FINISHED


def test_an_outage_of_the_database_past_the_lease_costs_a_stack_nothing(
    make_bench: Callable[..., Bench], postgres: PostgresServer, postgres_url: str
) -> None:
    bench, patient = make_bench(postgres_url, lease_seconds=SHORT_LEASE), make_bench(postgres_url)
    calm = submitted(patient, 2, epochs=1600)
    patient.slot.work(calm[0])
    ids = submitted(bench, 2, epochs=1600)
    with bench.working(ids[0]) as thread:
        until(lambda: bench.history(ids[1]).get("train/loss"))
        runner = psutil.Process(present(bench.equipment.runner_pid))
        postgres.stop()
        try:
            until(lambda: runner.status() == psutil.STATUS_STOPPED)
            time.sleep(SHORT_LEASE)
            assert runner.status() == psutil.STATUS_STOPPED
        finally:
            postgres.start()
        until(lambda: not thread.is_alive(), seconds=200)
    assert [len(bench.attempts(job_id)) for job_id in ids] == [1, 1]
    assert outcomes(bench, ids) == outcomes(bench, calm)


def test_a_stack_that_was_replaced_during_an_outage_trains_no_more(
    make_bench: Callable[..., Bench], postgres_url: str
) -> None:
    bench = make_bench(postgres_url, lease_seconds=SHORT_LEASE)
    ids = submitted(bench, 2, **LONG)
    with bench.working(ids[0]):
        until(lambda: bench.history(ids[1]).get("train/loss"))
        runner = psutil.Process(present(bench.equipment.runner_pid))
        with transaction(bench.engine) as session:
            # As long as this is not committed the lease cannot be renewed.
            for job_id in ids:
                single.lose(session, job_id, 1, cause={"kind": "test"})
            until(lambda: runner.status() == psutil.STATUS_STOPPED)
        until(lambda: bench.equipment.counts._counts.total("attempts_superseded") == 2)
    for job_id in ids:
        assert bench.attempts(job_id)[0].status is AttemptStatus.LOST


def test_what_does_not_fit_together_is_trained_alone(bench: Bench) -> None:
    """A key says that jobs fit; if it is wrong, nothing is lost by that."""
    ids = [
        bench.submit(
            stack_key=KEY,
            epochs=1,
            network=[{"kind": "dense", "units": units}, {"kind": "dense", "units": 10}],
        )
        for units in (4, 8)
    ]
    bench.slot.work(ids[0])
    assert {bench.job(job_id).status for job_id in ids} == {JobStatus.FINISHED}
    assert [len(bench.attempts(job_id)) for job_id in ids] == [2, 2]


def test_a_member_that_another_attempt_took_over_writes_nothing_more(bench: Bench) -> None:
    ids = submitted(bench, 2, **LONG)
    with bench.working(ids[0]):
        until(lambda: bench.history(ids[1]).get("train/loss"))
        with transaction(bench.engine) as session:
            single.lose(session, ids[1], 1, cause={"kind": "test"})
            taken = jobs.claim(session, ids[1], node="other", worker="other", lease_seconds=60)
        assert taken is not None
        until(lambda: bench.equipment.counts._counts.total("attempts_superseded") >= 1)
        before = bench.history(ids[1])
        steps = present(bench.job(ids[0]).progress)["step"]
        until(lambda: present(bench.job(ids[0]).progress)["step"] > steps)
        assert bench.history(ids[1]) == before
        assert bench.job(ids[1]).worker == "other"


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"seed": 5, "name": "x", "tags": {"a": "b"}}, True),
        ({"optimizer": {"kind": "adam", "learning_rate": 0.5}}, True),
        ({"optimizer": {"kind": "sgd", "learning_rate": 0.5}}, False),
        ({"epochs": 7}, False),
        ({"batch_size": 16}, False),
        ({"network": [{"kind": "dense", "units": 8}, {"kind": "dense", "units": 10}]}, False),
        ({"max_seconds": 3.0}, False),
    ],
)
def test_a_key_is_equal_for_jobs_that_differ_in_numbers(
    changes: dict[str, Any], same: bool
) -> None:
    first, other = (
        stack_key(JobSpec.model_validate({**DIGITS, **one}), schema(), "sweep")
        for one in ({}, changes)
    )
    assert first is not None
    assert (first == other) == same


@pytest.mark.parametrize(
    "changes",
    [
        {"checkpoint": {"every_steps": 10}},
        {"network": [{"kind": "dense", "units": 90_000}, {"kind": "dense", "units": 10}]},
        {"device": "gpu"},
    ],
)
def test_what_gains_nothing_has_no_key(changes: dict[str, Any]) -> None:
    assert stack_key(JobSpec.model_validate({**DIGITS, **changes}), schema(), "sweep") is None
