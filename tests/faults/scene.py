"""The moment of a fault: which attempt trains where, and what was struck of it."""

import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import psutil

from core.db.tables import Job
from core.status import JobStatus
from tests.faults.cluster.stack import Stack, training
from tests.support.worker_cases import until
from tests.support.worker_processes import Process, lives

Change: TypeAlias = Callable[[Job], object]


class Queue(Protocol):
    """How a fault gets another job: perhaps one whose row is changed first."""

    def __call__(self, change: Change | None = None) -> str:
        """Its id."""
        ...


class Missed(Exception):
    """The fault found nothing to strike, so it says nothing about what jobs survive."""


@dataclass(frozen=True)
class Strike:
    """What was harmed, at which moment of the wall clock."""

    what: str
    at: float


class Scene:
    """A job that trains, and what a fault did to it. A fault that strikes nothing is no fault."""

    def __init__(self, stack: Stack, job_id: str, more: Queue, seed: str) -> None:
        """`more` queues another job, changed before anybody sees it, and gives its id."""
        self.stack = stack
        self.rng = random.Random(seed)
        self.more = more
        self.strikes: list[Strike] = []
        self.wrong: list[str] = []
        self.meet(job_id)

    def meet(self, job_id: str) -> None:
        """Let this job be the one that is met. Raises Missed when it does not train."""
        self.job_id = job_id
        job = self.stack.bench.job(job_id)
        if job.status is not JobStatus.RUNNING or job.node is None:
            raise Missed(f"{job_id} is {job.status}")
        self.attempt, self.node, self.step = job.attempt, job.node, job.progress_step

    def meet_another(self) -> None:
        """Let a new job be the one that is met, for what takes long to prepare."""
        job_id = self.more()
        training(self.stack, job_id)
        self.meet(job_id)

    def struck(self, what: str) -> None:
        """Say what was harmed just now."""
        self.strikes.append(Strike(what, time.time()))

    def counted(self, count: int, what: str) -> None:
        """Say how many were harmed. Raises Missed when none was."""
        if not count:
            raise Missed(f"no {what}")
        self.struck(f"{count} {what}")

    @property
    def trainer(self) -> Process:
        """The worker whose attempt this is. Raises Missed when it is gone."""
        worker = self.stack.workers_by_node[self.node]
        if worker.process.poll() is not None:
            raise Missed(f"the worker of node {self.node} is gone")
        return worker

    def slot(self) -> psutil.Process:
        """The pool process that watches over the attempt. Raises Missed."""
        pids = [one.pid for one in self.stack.bench.attempts(self.job_id)[self.attempt - 1 :]]
        for one in self.trainer.family():
            if one.pid in pids:
                return one
        raise Missed(f"node {self.node} has no slot for attempt {self.attempt}")

    def runner(self) -> psutil.Process:
        """The process that trains. Raises Missed."""
        with suppress(psutil.Error):
            for one in self.slot().children():
                if "worker.runner" in one.cmdline():
                    return one
        raise Missed(f"the slot of attempt {self.attempt} has no runner")

    def kill(self, victim: psutil.Process, what: str, number: int = signal.SIGKILL) -> None:
        """End a process that lives, and see that it ended. Raises Missed."""
        self._send(victim, number, what)
        until(lambda: not lives(victim))

    def kill_main(self, worker: Process, what: str) -> None:
        """End a process of ours alone, not what it started."""
        worker.family()
        self._send(psutil.Process(worker.pid), signal.SIGKILL, what)
        worker.process.wait(30)

    def kill_all(self, process: Process, what: str) -> None:
        """End a process of ours and all that it started."""
        if process.process.poll() is not None:
            raise Missed(f"{what} is gone")
        pids = [process.pid, *(one.pid for one in process.family())]
        self.struck(f"SIGKILL to {what}, pids {' '.join(map(str, pids))}")
        process.kill()

    def terminate(self, worker: Process, what: str) -> None:
        """Ask a process of ours to end. Raises Missed when it has."""
        worker.family()
        self._send(psutil.Process(worker.pid), signal.SIGTERM, what)

    def freeze(self, victim: psutil.Process, what: str) -> None:
        """Stop a process where it is, and see that it stands. Raises Missed."""
        self._send(victim, signal.SIGSTOP, what)
        until(lambda: not lives(victim) or victim.status() == psutil.STATUS_STOPPED)

    def freeze_all(self, process: Process, what: str) -> None:
        """Stop a process of ours and all that it started. Raises Missed."""
        for one in (psutil.Process(process.pid), *process.family()):
            self.freeze(one, what)

    def _send(self, victim: psutil.Process, number: int, what: str) -> None:
        if not lives(victim):
            raise Missed(f"{what}, pid {victim.pid}, is gone")
        self.struck(f"{signal.Signals(number).name} to {what}, pid {victim.pid}")
        try:
            victim.send_signal(number)
        except psutil.NoSuchProcess as error:
            raise Missed(f"{what}, pid {victim.pid}, is gone") from error
