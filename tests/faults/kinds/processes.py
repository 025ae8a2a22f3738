"""Faults of workers, runners and schedulers: killed, frozen or asked to end."""

import os
import signal
import time
from pathlib import Path

from core import jobs, nodes
from core.db.session import reading, transaction
from core.db.tables import Checkpoint
from core.errors import ChainruleError
from tests.faults.cluster.stack import thaw
from tests.faults.context import FaultContext, Missed
from tests.faults.matrix import PAST_LEASE, WITHIN_LEASE, fault
from tests.support.worker_cases import until


@fault(ends_attempt=True)
def runner_killed(context: FaultContext) -> None:
    context.kill(context.runner(), "the runner")


@fault(ends_attempt=True)
def runner_crashed(context: FaultContext) -> None:
    context.kill(context.runner(), "the runner", signal.SIGSEGV)


@fault(ends_attempt=True)
def runner_killed_again_and_again(context: FaultContext) -> None:
    stack, kills = context.stack, 0
    # One more charged loss would fail the job.
    for _ in range(stack.bench.job(context.job_id).max_attempts - 1):
        until(lambda: stack.running(context.job_id) or stack.status(context.job_id).terminal)
        if stack.status(context.job_id).terminal:
            break
        context.node = stack.bench.job(context.job_id).node or context.node
        try:
            context.kill(context.runner(), "the runner")
            kills += 1
        except Missed:
            continue
        time.sleep(context.rng.uniform(0.2, 0.6))
    if kills < 2:
        raise Missed("fewer than two runners were killed")


@fault()
def runner_frozen_for_a_while(context: FaultContext) -> None:
    runner = context.runner()
    context.freeze(runner, "the runner")
    time.sleep(PAST_LEASE)
    runner.resume()


@fault(ends_attempt=True)
def slot_killed(context: FaultContext) -> None:
    context.kill(context.slot(), "the slot")


@fault(ends_attempt=True)
def worker_tree_killed(context: FaultContext) -> None:
    context.kill_all(context.worker, "the worker")


@fault(ends_attempt=True)
def worker_main_killed(context: FaultContext) -> None:
    context.kill_main(context.worker, "the worker's main process")


@fault(ends_attempt=True)
def worker_terminated(context: FaultContext) -> None:
    worker = context.worker
    context.terminate(worker, "the worker")
    worker.process.wait(60)


@fault(ends_attempt=True)
def worker_group_terminated(context: FaultContext) -> None:
    worker = context.worker
    family = worker.family()
    os.killpg(worker.pid, signal.SIGTERM)
    context.hit(f"SIGTERM to the group {worker.pid} of {1 + len(family)} processes")
    worker.process.wait(60)


@fault(ends_attempt=True)
def worker_terminated_twice(context: FaultContext) -> None:
    worker = context.worker
    context.terminate(worker, "the worker")
    time.sleep(context.rng.uniform(0.05, 0.2))
    if worker.process.poll() is None:
        context.terminate(worker, "the worker")
    worker.process.wait(60)


@fault(ends_attempt=True)
def worker_frozen_past_its_lease(context: FaultContext) -> None:
    worker = context.worker
    context.freeze_all(worker, "the worker")
    time.sleep(PAST_LEASE * 2)
    thaw(worker)


@fault()
def worker_frozen_within_its_lease(context: FaultContext) -> None:
    worker = context.worker
    context.freeze_all(worker, "the worker")
    time.sleep(WITHIN_LEASE)
    thaw(worker)


@fault(ends_attempt=True)
def node_drained(context: FaultContext) -> None:
    with transaction(context.stack.bench.engine) as session:
        nodes.drain(session, context.node)
    context.hit(f"node {context.node} starts to drain")
    time.sleep(context.rng.uniform(0.8, 1.8))


@fault(ends_attempt=True)
def paused_and_resumed(context: FaultContext) -> None:
    stack = context.stack
    for use_case in (jobs.pause, jobs.resume):
        try:
            with transaction(stack.bench.engine) as session:
                use_case(session, context.job_id)
        except ChainruleError as error:
            raise Missed(error.detail) from error
        context.hit(f"{use_case.__name__} of {context.job_id}")
        time.sleep(context.rng.uniform(0.8, 1.5))


@fault()
def scheduler_killed(context: FaultContext) -> None:
    assert context.stack.scheduler is not None
    context.kill_all(context.stack.scheduler, "the scheduler")


@fault(ends_attempt=True)
def scheduler_and_worker_killed(context: FaultContext) -> None:
    scheduler_killed(context)
    context.kill_all(context.worker, "the worker")


@fault()
def scheduler_frozen_past_the_lease(context: FaultContext) -> None:
    assert context.stack.scheduler is not None
    context.freeze_all(context.stack.scheduler, "the scheduler")
    time.sleep(PAST_LEASE)


@fault(ends_attempt=True)
def two_schedulers(context: FaultContext) -> None:
    stack = context.stack
    before = stack.schedulers_started()
    second = stack.start("worker.scheduler")
    until(lambda: stack.schedulers_started() > before or second.process.poll() is not None)
    if second.process.poll() is not None:
        raise Missed("the second scheduler ended at once")
    context.target_new_job()
    context.kill_all(context.worker, "the worker")
    time.sleep(PAST_LEASE)
    context.kill_all(second, "the second scheduler")


def _checkpoints(context: FaultContext) -> list[Checkpoint]:
    with reading(context.stack.bench.engine) as session:
        return jobs.checkpoints(session, context.job_id)


@fault(ends_attempt=True)
def newest_checkpoint_damaged(context: FaultContext) -> None:
    stack = context.stack
    until(lambda: len(_checkpoints(context)) >= 2 or stack.status(context.job_id).terminal)
    runner = context.runner()
    # A frozen runner writes no newer checkpoint while this one is damaged.
    context.freeze(runner, "the runner")
    time.sleep(0.5)
    checkpoints = _checkpoints(context)
    if len(checkpoints) < 2:
        raise Missed(f"{len(checkpoints)} checkpoints")
    path = Path(stack.bench.store.url.removeprefix("file://")) / checkpoints[0].key
    if not path.exists():
        raise Missed(f"no file {path.name}")
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    context.hit(f"one bit of {path.name}, the newest of {len(checkpoints)} checkpoints")
    context.kill(runner, "the runner")
