"""Many jobs at once, each crashed at a point of its own, and compared with undisturbed ones."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from chainrule.contract.status import AttemptStatus, JobStatus
from core import jobs
from core.db.session import transaction
from core.errors import ChainruleError
from tests.faults.checker import Checker
from tests.faults.cluster.full_stack import FullStack
from tests.faults.crash_worker import FILES, TARGETS, USE_CASES, arm, triggered
from tests.support.job_cases import spec
from tests.support.worker_cases import until

SPEC: dict[str, Any] = {"epochs": 25, "checkpoint": {"every_steps": 40}}
LEASE_SECONDS = 3.0
SEEDS = 2
TRIES = 5
BATCH_JOBS = 30
DRAIN_SECONDS = 600.0


@dataclass(frozen=True)
class CrashPlan:
    """Where and how to crash the attempt at one job; `settings` are those of `arm`."""

    name: str
    settings: dict[str, Any]

    @property
    def point(self) -> str:
        """The crash point."""
        return str(self.settings["point"])


@dataclass
class Result:
    """What became of the job of a crash plan."""

    plan: CrashPlan
    triggered: str | None = None
    misses: int = 0
    checker: Checker = field(default_factory=Checker)

    @property
    def problems(self) -> list[str]:
        """Every violated invariant; also that the plan was not triggered."""
        messages = self.checker.messages
        if not self.triggered:
            messages = [*messages, "the crash was not triggered"]
        return [f"{self.plan.name}: {message}" for message in messages]


def crash_points() -> list[CrashPlan]:
    """Every crash point x before and after its commit x killed, outcome unknown, paused."""
    return [
        CrashPlan(
            f"{how} {moment} {point}",
            {"point": point, "moment": moment, "how": how, "seconds": 1.5 * LEASE_SECONDS},
        )
        for point in (*USE_CASES.values(), *FILES.values())
        for moment in ("before", "after")
        for how in ("kill", "unknown", "pause")
    ]


def random_kills(count: int, seed: int, steps: int) -> list[CrashPlan]:
    """Kills of a runner, slot or worker, up to 20 ms after a random step below `steps`."""
    rng = random.Random(f"kills/{seed}")
    plans = []
    for number in range(count):
        how, step = rng.choice(sorted(TARGETS)), rng.randrange(1, steps)
        seconds = round(rng.uniform(0, 0.02), 4)
        settings = {"point": "step", "step": step, "how": how, "seconds": seconds}
        plans.append(CrashPlan(f"#{number} {how} after step {step} and {seconds} s", settings))
    return plans


class CrashInjector:
    """Carries out crash plans with the workers of one stack."""

    def __init__(self, folder: Path) -> None:
        """Start the stack and train the undisturbed jobs with which others are compared."""
        self.stack = FullStack(
            folder, lease_seconds=LEASE_SECONDS, worker="tests.faults.crash_worker"
        )
        try:
            self.references = [self.stack.bench.submit(**SPEC, seed=n) for n in range(SEEDS)]
            undisturbed = CrashPlan("undisturbed", {"point": ""})
            self._supervise(dict.fromkeys(self.references, undisturbed))
            ends = [self.stack.status(job_id) for job_id in self.references]
            assert set(ends) == {JobStatus.FINISHED}, ends
            self.steps = int(self.stack.bench.result(self.references[0])["step"])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the stack."""
        self.stack.close()

    def run(self, plans: Sequence[CrashPlan]) -> Iterator[Result]:
        """Carry out plans, some at a time. A plan that is not triggered is tried up to 5 times."""
        left = [Result(plan) for plan in plans]
        while left:
            batch, left = left[:BATCH_JOBS], left[BATCH_JOBS:]
            by_job = {self._submit(number, it.plan): it for number, it in enumerate(batch)}
            self._supervise({job_id: result.plan for job_id, result in by_job.items()})
            for number, (job_id, result) in enumerate(by_job.items()):
                reference_id = self.references[number % SEEDS]
                result.checker.check(self.stack.bench, job_id, reference_id)
                self.stack.check_mlflow(job_id, result.checker)
                result.triggered = self._triggered(job_id, result.plan)
                if result.triggered or result.checker.violations or result.misses + 1 >= TRIES:
                    yield result
                else:
                    result.misses += 1
                    left.append(result)

    def _submit(self, number: int, plan: CrashPlan) -> str:
        """Queue a job; its crash plan is there before a worker can claim it."""
        bench = self.stack.bench
        with transaction(bench.engine) as session:
            job = jobs.submit(
                session, spec(**SPEC, seed=number % SEEDS), bench.version, owner="local"
            )
            arm(self.stack.armed, job.id, **plan.settings)
            return job.id

    def _triggered(self, job_id: str, plan: CrashPlan) -> str | None:
        """Which process took the plan; None also for a kill that came after the last attempt."""
        attempts = self.stack.bench.attempts(job_id)
        if plan.point == "step" and all(it.status is AttemptStatus.FINISHED for it in attempts):
            return None
        return triggered(self.stack.armed, job_id)

    def _supervise(self, plans: dict[str, CrashPlan]) -> None:
        """Replace dead workers, and release or lose attempts as plans need it, until all end."""
        provoked: set[str] = set()
        give_up_at = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < give_up_at:
            running = [job_id for job_id in plans if not self.stack.status(job_id).terminal]
            if not running:
                break
            self.stack.replace_workers()
            for job_id in running:
                self._provoke(job_id, plans[job_id].point, provoked)
            time.sleep(0.1)
        with suppress(AssertionError):
            until(lambda: not self.stack.orphans())

    def _provoke(self, job_id: str, point: str, provoked: set[str]) -> None:
        """Once for each job, make an attempt release its job or be lost, if the plan needs it."""
        if point == "release" and self.stack.status(job_id) is JobStatus.PAUSED:
            self._request(jobs.resume, job_id)
        elif job_id not in provoked and point in ("release", "lose") and self.stack.running(job_id):
            provoked.add(job_id)
            if point == "release":
                self._request(jobs.pause, job_id)
            else:
                self._kill_runner(job_id)

    def _request(self, use_case: Callable[..., object], job_id: str) -> None:
        with suppress(ChainruleError), transaction(self.stack.bench.engine) as session:
            use_case(session, job_id)

    def _kill_runner(self, job_id: str) -> None:
        slot = self.stack.bench.attempts(job_id)[-1].pid
        with suppress(psutil.Error):
            for child in psutil.Process(slot).children():
                if "worker.runner" in child.cmdline():
                    child.kill()
