"""Many jobs under a sequence of random faults; no fault waits until jobs have recovered."""

import random
import time
from collections import deque
from typing import Any

from benchmarks.results import Row, at_least, at_most, figure
from chainrule.contract.status import JobStatus
from core import jobs
from core.db.session import reading
from tests.faults.checker import DOUBLED, LOST, WRONG, Checker
from tests.faults.cluster.full_stack import FullStack
from tests.faults.context import Change, FaultContext, Missed
from tests.faults.matrix import FAULTS
from tests.support.worker_cases import until

SPEC: dict[str, Any] = {"epochs": 100, "checkpoint": {"every_steps": 40}}
SEEDS = 4
OPEN_JOBS = 8
DRAIN_SECONDS = 300.0
_POLL_SECONDS = 0.2
EXCLUDED = frozenset({"two_schedulers"})


class Soak:
    """Keeps some jobs queued and running, injects faults, and checks every job that ends."""

    def __init__(self, stack: FullStack, seed: int) -> None:
        """Train the undisturbed jobs with which others are compared."""
        self.stack = stack
        self.rng = random.Random(f"soak/{seed}")
        self.checker = Checker()
        self.faults = self.hits = 0
        self.references = [stack.bench.submit(**SPEC, seed=number) for number in range(SEEDS)]
        until(
            lambda: all(stack.status(job_id).terminal for job_id in self.references),
            seconds=DRAIN_SECONDS,
        )
        assert all(stack.status(job_id) is JobStatus.FINISHED for job_id in self.references)
        self.open: deque[tuple[str, int]] = deque()
        self.submitted = 0
        self.checked: list[str] = []
        self.names = [
            name
            for name, fault in FAULTS.items()
            if name not in EXCLUDED and not (fault.needs and stack.missing(fault.needs))
        ]

    def run(self, count: int, faults: int | None, give_up_at: float) -> None:
        """Submit `count` jobs, a few at a time, with `faults` spread over them.

        None injects one fault after another, about every second or two.
        """
        while self.submitted < count and time.monotonic() < give_up_at:
            while len(self.open) < OPEN_JOBS and self.submitted < count:
                self._submit()
            if faults is None or self.faults * count < self.submitted * faults:
                self._inject()
            else:
                time.sleep(_POLL_SECONDS)
            self._check_ended()
        drain_until = time.monotonic() + DRAIN_SECONDS
        while self.open and time.monotonic() < drain_until:
            self._check_ended()
            time.sleep(_POLL_SECONDS)
        for job_id, number in self.open:
            self._check(job_id, number)
        # MLflow may lag behind while faults continue, not after the last repair.
        for job_id in self.checked:
            self.stack.check_mlflow(job_id, self.checker)

    def rows(self) -> list[Row]:
        """The figures of the soak."""
        return [
            figure("soak: jobs", self.checker.jobs, ""),
            figure("soak: attempts", self.checker.attempts, ""),
            at_least("soak: faults that hit", self.hits, "", 1),
            *(
                at_most(f"soak: {kind}", self.checker.count(kind), "jobs", 0)
                for kind in (LOST, DOUBLED, WRONG)
            ),
        ]

    def _submit(self, change: Change | None = None) -> str:
        number = self.rng.randrange(SEEDS)
        job_id = self.stack.submit(change, **SPEC, seed=number)
        self.open.append((job_id, number))
        self.submitted += 1
        return job_id

    def _inject(self) -> None:
        """Inject a random fault into a job that trains, and repair."""
        name = self.rng.choice(self.names)
        self.faults += 1
        with reading(self.stack.bench.engine) as session:
            page = jobs.list_jobs(session, status=[JobStatus.RUNNING], limit=10)
        training = [job.id for job in page.items if self.stack.running(job.id)]
        try:
            if training:
                target_id = self.rng.choice(training)
                context = FaultContext(self.stack, target_id, self._submit, str(self.rng.random()))
                FAULTS[name].inject(context)
                self.hits += 1
                print(f"soak: {name}: {context.hits[0].what}", flush=True)
        except (Missed, AssertionError) as error:
            print(f"soak: {name} missed: {error}", flush=True)
        self.stack.repair()

    def _check_ended(self) -> None:
        for _ in range(len(self.open)):
            job_id, number = self.open.popleft()
            if self.stack.status(job_id).terminal:
                self._check(job_id, number)
            else:
                self.open.append((job_id, number))

    def _check(self, job_id: str, number: int) -> None:
        self.checker.check(self.stack.bench, job_id, self.references[number])
        self.checked.append(job_id)
