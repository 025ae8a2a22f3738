"""Faults of workers, runners and schedulers: killed, frozen, told to end."""

import os
import signal
import time
from pathlib import Path

from core import jobs, nodes
from core.db.session import reading, transaction
from core.db.tables import Checkpoint
from core.errors import ChainruleError
from tests.faults.cluster.stack import thaw
from tests.faults.matrix import PAST_LEASE, WITHIN_LEASE, fault
from tests.faults.scene import Missed, Scene
from tests.support.worker_cases import until


@fault(costs=True)
def runner_killed(scene: Scene) -> None:
    scene.kill(scene.runner(), "the runner")


@fault(costs=True)
def runner_crashed(scene: Scene) -> None:
    scene.kill(scene.runner(), "the runner", signal.SIGSEGV)


@fault(costs=True)
def runner_killed_again_and_again(scene: Scene) -> None:
    stack, struck = scene.stack, 0
    # Once more, and the job would be the one to blame.
    for _ in range(stack.bench.job(scene.job_id).max_attempts - 1):
        until(lambda: stack.running(scene.job_id) or stack.status(scene.job_id).terminal)
        if stack.status(scene.job_id).terminal:
            break
        scene.node = stack.bench.job(scene.job_id).node or scene.node
        try:
            scene.kill(scene.runner(), "the runner")
            struck += 1
        except Missed:
            continue
        time.sleep(scene.rng.uniform(0.2, 0.6))
    if struck < 2:
        raise Missed("less than two runners were met")


@fault()
def runner_frozen_for_a_while(scene: Scene) -> None:
    runner = scene.runner()
    scene.freeze(runner, "the runner")
    time.sleep(PAST_LEASE)
    runner.resume()


@fault(costs=True)
def slot_killed(scene: Scene) -> None:
    scene.kill(scene.slot(), "the slot")


@fault(costs=True)
def worker_tree_killed(scene: Scene) -> None:
    scene.kill_all(scene.trainer, "the worker")


@fault(costs=True)
def worker_main_killed(scene: Scene) -> None:
    scene.kill_main(scene.trainer, "the worker's main process")


@fault(costs=True)
def worker_terminated(scene: Scene) -> None:
    worker = scene.trainer
    scene.terminate(worker, "the worker")
    worker.process.wait(60)


@fault(costs=True)
def worker_group_terminated(scene: Scene) -> None:
    worker = scene.trainer
    family = worker.family()
    os.killpg(worker.pid, signal.SIGTERM)
    scene.struck(f"SIGTERM to the group {worker.pid} of {1 + len(family)} processes")
    worker.process.wait(60)


@fault(costs=True)
def worker_terminated_twice(scene: Scene) -> None:
    worker = scene.trainer
    scene.terminate(worker, "the worker")
    time.sleep(scene.rng.uniform(0.05, 0.2))
    if worker.process.poll() is None:
        scene.terminate(worker, "the worker")
    worker.process.wait(60)


@fault(costs=True)
def worker_frozen_past_its_lease(scene: Scene) -> None:
    worker = scene.trainer
    scene.freeze_all(worker, "the worker")
    time.sleep(PAST_LEASE * 2)
    thaw(worker)


@fault()
def worker_frozen_within_its_lease(scene: Scene) -> None:
    worker = scene.trainer
    scene.freeze_all(worker, "the worker")
    time.sleep(WITHIN_LEASE)
    thaw(worker)


@fault(costs=True)
def node_drained(scene: Scene) -> None:
    with transaction(scene.stack.bench.engine) as session:
        nodes.drain(session, scene.node)
    scene.struck(f"node {scene.node} is to drain")
    time.sleep(scene.rng.uniform(0.8, 1.8))


@fault(costs=True)
def paused_and_resumed(scene: Scene) -> None:
    stack = scene.stack
    for order in (jobs.pause, jobs.resume):
        try:
            with transaction(stack.bench.engine) as session:
                order(session, scene.job_id)
        except ChainruleError as error:
            raise Missed(error.detail) from error
        scene.struck(f"{order.__name__} of {scene.job_id}")
        time.sleep(scene.rng.uniform(0.8, 1.5))


@fault()
def scheduler_killed(scene: Scene) -> None:
    assert scene.stack.scheduler is not None
    scene.kill_all(scene.stack.scheduler, "the scheduler")


@fault(costs=True)
def scheduler_and_worker_killed(scene: Scene) -> None:
    scheduler_killed(scene)
    scene.kill_all(scene.trainer, "the worker")


@fault()
def scheduler_frozen_past_the_lease(scene: Scene) -> None:
    assert scene.stack.scheduler is not None
    scene.freeze_all(scene.stack.scheduler, "the scheduler")
    time.sleep(PAST_LEASE)


@fault(costs=True)
def two_schedulers(scene: Scene) -> None:
    stack = scene.stack
    before = stack.schedulers_at_work()
    second = stack.start("worker.scheduler")
    until(lambda: stack.schedulers_at_work() > before or second.process.poll() is not None)
    if second.process.poll() is not None:
        raise Missed("the second scheduler ended at once")
    scene.meet_another()
    scene.kill_all(scene.trainer, "the worker")
    time.sleep(PAST_LEASE)
    scene.kill_all(second, "the second scheduler")


def _kept(scene: Scene) -> list[Checkpoint]:
    with reading(scene.stack.bench.engine) as session:
        return jobs.checkpoints(session, scene.job_id)


@fault(costs=True)
def newest_checkpoint_damaged(scene: Scene) -> None:
    stack = scene.stack
    until(lambda: len(_kept(scene)) >= 2 or stack.status(scene.job_id).terminal)
    runner = scene.runner()
    # It stands still while its checkpoint is damaged, so that no newer one comes.
    scene.freeze(runner, "the runner")
    time.sleep(0.5)
    kept = _kept(scene)
    path = Path(stack.bench.store.url.removeprefix("file://")) / kept[0].key if kept else None
    if path is None or len(kept) < 2 or not path.exists():
        raise Missed(f"{len(kept)} checkpoints")
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    scene.struck(f"one bit of {path.name}, the newest of {len(kept)} checkpoints")
    scene.kill(runner, "the runner")
