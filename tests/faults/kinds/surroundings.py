"""Faults of MLflow, of the api and of disks."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.faults.cluster.surroundings import WholeStack
from tests.faults.matrix import PAST_LEASE, WITHIN_LEASE, fault
from tests.faults.scene import Missed, Scene
from tests.support.job_cases import spec
from tests.support.worker_cases import until

SUBMISSIONS = 12
MEET_SECONDS = 30.0


def whole(scene: Scene) -> WholeStack:
    """The stack of a fault that needs one with all around it."""
    assert isinstance(scene.stack, WholeStack)
    return scene.stack


def met(harmed: Callable[[], int], what: str, scene: Scene) -> None:
    """Wait until somebody met the fault. Raises Missed."""
    give_up_at = time.monotonic() + MEET_SECONDS
    while not harmed():
        if time.monotonic() > give_up_at:
            raise Missed(f"no {what}")
        time.sleep(0.05)
    scene.counted(harmed(), what)


@fault(needs="mlflow")
def mlflow_killed(scene: Scene) -> None:
    stack = whole(scene)
    before = stack.mlflow_link.harmed
    stack.tracker.stop()
    stack.mlflow_link.reset()
    scene.struck("SIGKILL to MLflow")
    met(lambda: stack.mlflow_link.harmed - before, "connections to MLflow failed", scene)
    time.sleep(WITHIN_LEASE)


@fault(needs="mlflow")
def mlflow_frozen(scene: Scene) -> None:
    stack = whole(scene)
    stack.tracker.freeze()
    scene.struck("SIGSTOP to MLflow")
    before = stack.mlflow_link.passed
    met(lambda: stack.mlflow_link.passed - before, "pieces sent to a frozen MLflow", scene)
    time.sleep(PAST_LEASE)


@fault(needs="mlflow")
def mlflow_wiped(scene: Scene) -> None:
    stack = whole(scene)
    until(lambda: stack.bench.job(scene.job_id).mlflow_run_id)
    stack.tracker.stop()
    count = stack.tracker.wipe()
    scene.counted(count, "files of MLflow's database are gone")


@fault(needs="mlflow")
def mlflow_slow(scene: Scene) -> None:
    stack = whole(scene)
    before = stack.mlflow_link.harmed
    stack.mlflow_link.mode = "slow"
    scene.struck("the link to MLflow is slow")
    met(lambda: stack.mlflow_link.harmed - before, "late pieces to or from MLflow", scene)
    time.sleep(PAST_LEASE)


def _submit(url: str, key: str) -> str | None:
    """Ask the api for a job; its id, None when nobody knows what became of the request."""
    body: dict[str, Any] = spec(epochs=1).model_dump(mode="json", exclude_none=True)
    headers = {"Idempotency-Key": key}
    try:
        answer = httpx.post(f"{url}/v1/jobs", json=body, headers=headers, timeout=20)
    except httpx.TransportError:
        return None
    assert answer.status_code in (200, 202), answer.text
    return str(answer.json()["id"])


@fault(needs="api")
def api_killed_while_jobs_are_submitted(scene: Scene) -> None:
    stack = whole(scene)
    assert stack.api is not None
    keys = [uuid.uuid4().hex for _ in range(SUBMISSIONS)]
    with ThreadPoolExecutor(SUBMISSIONS) as clients:
        asked = [clients.submit(_submit, stack.url, key) for key in keys]
        time.sleep(scene.rng.uniform(0.02, 0.4))
        scene.kill_all(stack.api, "the api")
        first = [one.result() for one in asked]
    scene.counted(first.count(None), "requests that nobody answered")
    stack.heal()
    again = [_submit(stack.url, key) for key in keys]
    repeated = [_submit(stack.url, key) for key in keys]
    if again != repeated or len(set(again)) != SUBMISSIONS:
        scene.wrong.append("one Idempotency-Key made several jobs")
    if any(one not in (None, other) for one, other in zip(first, again, strict=True)):
        scene.wrong.append("a job whose id was answered is not the one that is there")
    until(lambda: all(one and stack.status(one).terminal for one in again), seconds=120)


@fault(needs="api")
def api_frozen(scene: Scene) -> None:
    stack = whole(scene)
    assert stack.api is not None
    scene.freeze_all(stack.api, "the api")
    try:
        httpx.get(f"{stack.url}/v1/jobs", timeout=PAST_LEASE)
        raise Missed("it answered")
    except httpx.TimeoutException:
        scene.counted(1, "requests without an answer")


def _full(scene: Scene, name: str, *said: str) -> None:
    """Fill a disk and wait until a worker says so in one of these ways."""
    stack = whole(scene)

    def count() -> int:
        log = (stack.folder / "log").read_text()
        return sum(log.count(words) for words in said)

    before = count()
    scene.counted(stack.fill(name), f"bytes fill the disk of the {name}")
    met(lambda: count() - before, f"times a worker said: {' or '.join(said)}", scene)


@fault(needs="disks")
def store_disk_full(scene: Scene) -> None:
    _full(scene, "store", "waits")
    time.sleep(scene.rng.uniform(0.5, 2.0))


@fault(needs="disks")
def work_disk_full(scene: Scene) -> None:
    _full(scene, "work", "the attempt was lost", "a checkpoint was not written")
