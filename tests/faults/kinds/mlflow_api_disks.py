"""Faults of MLflow, the api and disks, which only a FullStack has."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.faults.cluster.full_stack import FullStack
from tests.faults.context import FaultContext, Missed
from tests.faults.matrix import PAST_LEASE, WITHIN_LEASE, fault
from tests.support.job_cases import spec
from tests.support.worker_cases import until

SUBMISSIONS = 12
HIT_SECONDS = 30.0


def full_stack(context: FaultContext) -> FullStack:
    """The stack of a fault that needs mlflow, api or disks."""
    assert isinstance(context.stack, FullStack)
    return context.stack


def wait_for_hit(count: Callable[[], int], what: str, context: FaultContext) -> None:
    """Wait until the fault hit something, and record how many of `what`. Raises Missed."""
    give_up_at = time.monotonic() + HIT_SECONDS
    while not count():
        if time.monotonic() > give_up_at:
            raise Missed(f"no {what}")
        time.sleep(0.05)
    context.hit_count(count(), what)


@fault(needs="mlflow")
def mlflow_killed(context: FaultContext) -> None:
    stack = full_stack(context)
    before = stack.mlflow_link.disrupted
    stack.tracker.stop()
    stack.mlflow_link.reset()
    context.hit("SIGKILL to MLflow")
    wait_for_hit(
        lambda: stack.mlflow_link.disrupted - before, "connections to MLflow failed", context
    )
    time.sleep(WITHIN_LEASE)


@fault(needs="mlflow")
def mlflow_frozen(context: FaultContext) -> None:
    stack = full_stack(context)
    stack.tracker.freeze()
    context.hit("SIGSTOP to MLflow")
    before = stack.mlflow_link.passed
    wait_for_hit(
        lambda: stack.mlflow_link.passed - before, "pieces sent to a frozen MLflow", context
    )
    time.sleep(PAST_LEASE)


@fault(needs="mlflow")
def mlflow_wiped(context: FaultContext) -> None:
    stack = full_stack(context)
    until(lambda: stack.bench.job(context.job_id).mlflow_run_id)
    stack.tracker.stop()
    context.hit_count(stack.tracker.wipe(), "files of MLflow's database were deleted")


@fault(needs="mlflow")
def mlflow_slow(context: FaultContext) -> None:
    stack = full_stack(context)
    before = stack.mlflow_link.disrupted
    stack.mlflow_link.mode = "slow"
    context.hit("the link to MLflow is slow")
    wait_for_hit(
        lambda: stack.mlflow_link.disrupted - before, "late pieces to or from MLflow", context
    )
    time.sleep(PAST_LEASE)


def _submit(url: str, key: str) -> str | None:
    """Submit a job through the api; its id, or None if the outcome is unknown."""
    body: dict[str, Any] = spec(epochs=1).model_dump(mode="json", exclude_none=True)
    headers = {"Idempotency-Key": key}
    try:
        response = httpx.post(f"{url}/v1/jobs", json=body, headers=headers, timeout=20)
    except httpx.TransportError:
        return None
    assert response.status_code in (200, 202), response.text
    return str(response.json()["id"])


@fault(needs="api")
def api_killed_while_jobs_are_submitted(context: FaultContext) -> None:
    stack = full_stack(context)
    assert stack.api is not None
    keys = [uuid.uuid4().hex for _ in range(SUBMISSIONS)]
    with ThreadPoolExecutor(SUBMISSIONS) as clients:
        requests = [clients.submit(_submit, stack.url, key) for key in keys]
        time.sleep(context.rng.uniform(0.02, 0.4))
        context.kill_all(stack.api, "the api")
        first = [request.result() for request in requests]
    context.hit_count(first.count(None), "requests without an answer")
    stack.repair()
    again = [_submit(stack.url, key) for key in keys]
    repeated = [_submit(stack.url, key) for key in keys]
    if again != repeated or len(set(again)) != SUBMISSIONS:
        context.violations.append("one Idempotency-Key made several jobs")
    if any(early not in (None, late) for early, late in zip(first, again, strict=True)):
        context.violations.append("the api answered an id that differs from the id of the job")
    until(lambda: all(job_id and stack.status(job_id).terminal for job_id in again), seconds=120)


@fault(needs="api")
def api_frozen(context: FaultContext) -> None:
    stack = full_stack(context)
    assert stack.api is not None
    context.freeze_all(stack.api, "the api")
    try:
        httpx.get(f"{stack.url}/v1/jobs", timeout=PAST_LEASE)
        raise Missed("it answered")
    except httpx.TimeoutException:
        context.hit_count(1, "requests without an answer")


def _fill_disk(context: FaultContext, name: str, *messages: str) -> None:
    """Fill a disk and wait until a worker logs one of the messages. Raises Missed."""
    stack = full_stack(context)

    def count() -> int:
        log = (stack.folder / "log").read_text()
        return sum(log.count(message) for message in messages)

    before = count()
    context.hit_count(stack.fill(name), f"bytes fill the {name} disk")
    wait_for_hit(
        lambda: count() - before, f"lines in the log with: {' or '.join(messages)}", context
    )


@fault(needs="disks")
def store_disk_full(context: FaultContext) -> None:
    _fill_disk(context, "store", "waits")
    time.sleep(context.rng.uniform(0.5, 2.0))


@fault(needs="disks")
def work_disk_full(context: FaultContext) -> None:
    _fill_disk(context, "work", "the attempt was lost", "a checkpoint was not written")
