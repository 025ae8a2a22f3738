"""What a fault gets: the attempt that it targets, and where it records what it hit."""

import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import psutil

from chainrule.contract.status import JobStatus
from core.db.tables import Job
from tests.faults.cluster.stack import Stack, wait_for_training
from tests.support.worker_cases import until
from tests.support.worker_processes import Process, lives

Change: TypeAlias = Callable[[Job], object]


class Submit(Protocol):
    """Queues another job. `change` edits its row before a worker can claim it."""

    def __call__(self, change: Change | None = None) -> str:
        """Return the id of the job."""
        ...


class Missed(Exception):
    """The fault hit nothing, so the run shows nothing about what jobs survive."""


@dataclass(frozen=True)
class Hit:
    """What a fault hit, and when, in seconds of the wall clock."""

    what: str
    at: float


class FaultContext:
    """The job that a fault targets, the attempt and node that train it, and the hits so far."""

    def __init__(self, stack: Stack, job_id: str, submit: Submit, seed: str) -> None:
        """Target `job_id`; `submit` queues further jobs. Raises Missed unless the job trains."""
        self.stack = stack
        self.rng = random.Random(seed)
        self.submit = submit
        self.hits: list[Hit] = []
        self.violations: list[str] = []
        self.target(job_id)

    def target(self, job_id: str) -> None:
        """Target the running attempt of this job. Raises Missed unless the job trains."""
        self.job_id = job_id
        job = self.stack.bench.job(job_id)
        if job.status is not JobStatus.RUNNING or job.node is None:
            raise Missed(f"{job_id} is {job.status}")
        self.attempt, self.node, self.step = job.attempt, job.node, job.progress_step

    def target_new_job(self) -> None:
        """Target a new job, for a fault that takes long to prepare. Raises Missed."""
        job_id = self.submit()
        wait_for_training(self.stack, job_id)
        self.target(job_id)

    def hit(self, what: str) -> None:
        """Record what the fault hit just now."""
        self.hits.append(Hit(what, time.time()))

    def hit_count(self, count: int, what: str) -> None:
        """Record how many of something the fault hit. Raises Missed for 0."""
        if not count:
            raise Missed(f"no {what}")
        self.hit(f"{count} {what}")

    @property
    def worker(self) -> Process:
        """The worker that runs the attempt. Raises Missed if it ended."""
        worker = self.stack.workers_by_node[self.node]
        if worker.process.poll() is not None:
            raise Missed(f"the worker of node {self.node} is gone")
        return worker

    def slot(self) -> psutil.Process:
        """The pool process of the worker that runs the attempt. Raises Missed if it ended."""
        attempts = self.stack.bench.attempts(self.job_id)[self.attempt - 1 :]
        pids = [attempt.pid for attempt in attempts]
        for process in self.worker.family():
            if process.pid in pids:
                return process
        raise Missed(f"node {self.node} has no slot for attempt {self.attempt}")

    def runner(self) -> psutil.Process:
        """The process that computes. Raises Missed if it ended."""
        with suppress(psutil.Error):
            for process in self.slot().children():
                if "worker.runner" in process.cmdline():
                    return process
        raise Missed(f"the slot of attempt {self.attempt} has no runner")

    def kill(self, process: psutil.Process, what: str, number: int = signal.SIGKILL) -> None:
        """Send a signal that ends a process, and wait for its end. Raises Missed."""
        self._send(process, number, what)
        until(lambda: not lives(process))

    def kill_main(self, worker: Process, what: str) -> None:
        """Kill the main process alone, not what it started. Raises Missed."""
        worker.family()
        self._send(psutil.Process(worker.pid), signal.SIGKILL, what)
        worker.process.wait(30)

    def kill_all(self, process: Process, what: str) -> None:
        """Kill a process and all that it started. Raises Missed."""
        if process.process.poll() is not None:
            raise Missed(f"{what} is gone")
        pids = [process.pid, *(child.pid for child in process.family())]
        self.hit(f"SIGKILL to {what}, pids {' '.join(map(str, pids))}")
        process.kill()

    def terminate(self, worker: Process, what: str) -> None:
        """Send SIGTERM to the main process. Raises Missed."""
        worker.family()
        self._send(psutil.Process(worker.pid), signal.SIGTERM, what)

    def freeze(self, process: psutil.Process, what: str) -> None:
        """Stop a process with SIGSTOP and wait until it stands still. Raises Missed."""
        self._send(process, signal.SIGSTOP, what)
        until(lambda: not lives(process) or process.status() == psutil.STATUS_STOPPED)

    def freeze_all(self, process: Process, what: str) -> None:
        """Stop a process and all that it started with SIGSTOP. Raises Missed."""
        for member in (psutil.Process(process.pid), *process.family()):
            self.freeze(member, what)

    def _send(self, process: psutil.Process, number: int, what: str) -> None:
        if not lives(process):
            raise Missed(f"{what}, pid {process.pid}, is gone")
        self.hit(f"{signal.Signals(number).name} to {what}, pid {process.pid}")
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess as error:
            raise Missed(f"{what}, pid {process.pid}, is gone") from error
