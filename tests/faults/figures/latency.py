"""How long cancelling takes, what an outage of PostgreSQL costs, and one of MLflow."""

import statistics
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.results import Row, at_most, figure
from chainrule.contract.status import JobStatus
from core import jobs
from core.db.session import transaction
from tests.faults.cluster.full_stack import FullStack
from tests.faults.cluster.stack import Stack, wait_for_training
from tests.faults.figures import report
from tests.support.worker_cases import LONG, until

OUTAGE_SECONDS = 40.0
DEFAULT_LEASE_SECONDS = 30.0
CANCELS = 200
ROUNDS = 5
STEP_JOB: dict[str, Any] = {"epochs": 600, "report_steps": 50, "checkpoint": {"every_steps": 5000}}


def of_cancels(stack: Stack, count: int = CANCELS) -> list[Row]:
    """Seconds from the request to cancel a job that trains to its end, by the times in its row."""
    seconds: list[float] = []
    while len(seconds) < count:
        job_ids = [stack.bench.submit(**LONG) for _ in stack.workers_by_node]
        for job_id in job_ids:
            assert wait_for_training(stack, job_id)
            with transaction(stack.bench.engine) as session:
                jobs.cancel(session, job_id)
        for job_id in job_ids:
            until(partial(_ended, stack, job_id))
            job = stack.bench.job(job_id)
            assert job.status is JobStatus.CANCELLED
            assert job.finished_at is not None
            assert job.cancel_requested_at is not None
            seconds.append((job.finished_at - job.cancel_requested_at).total_seconds())
    return [
        figure("cancels of training jobs", len(seconds), ""),
        figure("cancel p50", statistics.median(seconds), "s"),
        at_most("cancel p99", report.percentile_99(seconds), "s", 1.0),
    ]


def _ended(stack: Stack, job_id: str) -> bool:
    return stack.status(job_id).terminal


def of_outage(folder: Path, seconds: float = OUTAGE_SECONDS) -> list[Row]:
    """The attempts lost if PostgreSQL stops for `seconds`, with the default lease."""
    with closing(Stack(folder, lease_seconds=DEFAULT_LEASE_SECONDS)) as stack:
        job_ids = [stack.bench.submit(**LONG) for _ in stack.workers_by_node]
        assert all(wait_for_training(stack, job_id) for job_id in job_ids)
        stack.postgres.stop()
        time.sleep(seconds)
        stack.postgres.start()
        steps = {job_id: stack.bench.job(job_id).progress_step for job_id in job_ids}
        until(
            lambda: all(stack.bench.job(it).progress_step > step for it, step in steps.items()),
            seconds=120,
        )
        # An attempt whose lease ran out would have been taken back by now.
        time.sleep(1.2 * DEFAULT_LEASE_SECONDS)
        restarted = sum(len(stack.bench.attempts(job_id)) - 1 for job_id in job_ids)
    return [at_most(f"attempts lost to {seconds:g} s without PostgreSQL", restarted, "", 0)]


def of_mlflow_outage(stack: FullStack, rounds: int = ROUNDS) -> list[Row]:
    """How much slower a step is while MLflow is stopped: the median over rounds."""
    _steps_a_second(stack)
    ratios = []
    for _ in range(rounds):
        with_mlflow = _steps_a_second(stack)
        stack.tracker.stop()
        without = _steps_a_second(stack)
        stack.repair()
        ratios.append(with_mlflow / without)
    slower = 100 * (statistics.median(ratios) - 1)
    spread = 100 * (max(ratios) - min(ratios))
    return [
        at_most("a step without MLflow, slower by", slower, "%", 1.0),
        figure("spread of that over rounds", spread, "%"),
    ]


def _steps_a_second(stack: Stack) -> float:
    """The steps a second of one job that trains alone, from its first point to its last."""
    job_id = stack.bench.submit(**STEP_JOB)
    until(lambda: stack.status(job_id).terminal, seconds=300)
    assert stack.status(job_id) is JobStatus.FINISHED
    first, last = _ends(stack, job_id)
    return (last[0] - first[0]) / max(1e-9, (last[1] - first[1]) / 1000)


def _ends(stack: Stack, job_id: str) -> tuple[tuple[int, int], tuple[int, int]]:
    with transaction(stack.bench.engine) as session:
        points = [(p.step, p.at_ms) for p in jobs.metrics(session, job_id).points()]
    return min(points), max(points)
