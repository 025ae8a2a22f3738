"""Many jobs while one random fault follows another, none waiting for the other to be over."""

import random
import time
from collections import deque
from typing import Any

from benchmarks.results import Row, at_least, at_most, figure
from core import jobs
from core.db.session import reading
from core.status import JobStatus
from tests.faults.cluster.surroundings import WholeStack
from tests.faults.matrix import FAULTS
from tests.faults.scene import Change, Missed, Scene
from tests.faults.verdict import DOUBLED, LOST, WRONG, Verdict
from tests.support.worker_cases import until

SPEC: dict[str, Any] = {"epochs": 100, "checkpoint": {"every_steps": 40}}
SEEDS = 4
OPEN = 8
DRAIN_SECONDS = 300.0
_LOOK_SECONDS = 0.2
UNFIT = frozenset({"two_schedulers"})


class Soak:
    """Keeps some jobs waiting and training, does faults, and judges every job in the end."""

    def __init__(self, stack: WholeStack, seed: int) -> None:
        self.stack = stack
        self.rng = random.Random(f"soak/{seed}")
        self.verdict = Verdict()
        self.faults = self.struck = 0
        self.calm = [stack.bench.submit(**SPEC, seed=number) for number in range(SEEDS)]
        until(lambda: all(stack.status(one).terminal for one in self.calm), seconds=DRAIN_SECONDS)
        assert all(stack.status(one) is JobStatus.FINISHED for one in self.calm)
        self.open: deque[tuple[str, int]] = deque()
        self.submitted = 0
        self.shown: list[str] = []
        self.names = [
            name
            for name, fault in FAULTS.items()
            if name not in UNFIT and not (fault.needs and stack.lacks(fault.needs))
        ]

    def run(self, count: int, faults: int | None, give_up_at: float) -> None:
        """Submit `count` jobs, a few at a time, with `faults` spread over them.

        None: one fault after the other, about every second or two.
        """
        while self.submitted < count and time.monotonic() < give_up_at:
            while len(self.open) < OPEN and self.submitted < count:
                self._submit()
            if faults is None or self.faults * count < self.submitted * faults:
                self._fault()
            else:
                time.sleep(_LOOK_SECONDS)
            self._judge_ended()
        until_drained = time.monotonic() + DRAIN_SECONDS
        while self.open and time.monotonic() < until_drained:
            self._judge_ended()
            time.sleep(_LOOK_SECONDS)
        for job_id, number in self.open:
            self._judge(job_id, number)
        # MLflow may lag behind while faults go on, not when they are over.
        for job_id in self.shown:
            self.stack.judge(job_id, self.verdict)

    def rows(self) -> list[Row]:
        """What came out."""
        return [
            figure("soak: jobs", self.verdict.jobs, ""),
            figure("soak: attempts", self.verdict.attempts, ""),
            at_least("soak: faults that struck", self.struck, "", 1),
            *(
                at_most(f"soak: {kind}", self.verdict.count(kind), "jobs", 0)
                for kind in (LOST, DOUBLED, WRONG)
            ),
        ]

    def _submit(self, change: Change | None = None) -> str:
        number = self.rng.randrange(SEEDS)
        job_id = self.stack.submit(change, **SPEC, seed=number)
        self.open.append((job_id, number))
        self.submitted += 1
        return job_id

    def _fault(self) -> None:
        """Do one fault to whoever trains now, and heal."""
        name = self.rng.choice(self.names)
        self.faults += 1
        with reading(self.stack.bench.engine) as session:
            page = jobs.list_jobs(session, status=[JobStatus.RUNNING], limit=10)
        training = [job.id for job in page.items if self.stack.running(job.id)]
        try:
            if training:
                scene = Scene(
                    self.stack, self.rng.choice(training), self._submit, str(self.rng.random())
                )
                FAULTS[name].do(scene)
                self.struck += 1
                print(f"soak: {name}: {scene.strikes[0].what}", flush=True)
        except (Missed, AssertionError) as error:
            print(f"soak: {name} missed: {error}", flush=True)
        self.stack.heal()

    def _judge_ended(self) -> None:
        for _ in range(len(self.open)):
            job_id, number = self.open.popleft()
            if self.stack.status(job_id).terminal:
                self._judge(job_id, number)
            else:
                self.open.append((job_id, number))

    def _judge(self, job_id: str, number: int) -> None:
        self.verdict.judge(self.stack.bench, job_id, self.calm[number])
        self.shown.append(job_id)
