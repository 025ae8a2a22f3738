"""Many jobs at once, each harmed at a place of its own; what came out is held against calm ones."""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from core import jobs
from core.db.session import transaction
from core.errors import ChainruleError
from core.status import AttemptStatus, JobStatus
from tests.faults.cluster.surroundings import WholeStack
from tests.faults.crash_worker import TARGETS, USE_CASES, arm, struck
from tests.faults.verdict import Verdict
from tests.support.job_cases import spec
from tests.support.worker_cases import until

SPEC: dict[str, Any] = {"epochs": 25, "checkpoint": {"every_steps": 40}}
LEASE_SECONDS = 3.0
SEEDS = 2
TRIES = 5
AT_ONCE = 30
DRAIN_SECONDS = 600.0


@dataclass(frozen=True)
class Plan:
    """Where and how one job is to be harmed."""

    name: str
    what: dict[str, Any]

    @property
    def point(self) -> str:
        """The place."""
        return str(self.what["point"])


@dataclass
class Result:
    """What became of one plan."""

    plan: Plan
    struck: str | None = None
    missed: int = 0
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def broken(self) -> list[str]:
        """What is not as it should be."""
        found = self.verdict.said if self.struck else [*self.verdict.said, "nothing was struck"]
        return [f"{self.plan.name}: {one}" for one in found]


def crash_points() -> list[Plan]:
    """Every named place x before and after its commit x killed, outcome unknown, paused."""
    places = (*USE_CASES.values(), "keep_checkpoint", "keep_model")
    return [
        Plan(
            f"{how} {moment} {point}",
            {"point": point, "moment": moment, "how": how, "seconds": 1.5 * LEASE_SECONDS},
        )
        for point in places
        for moment in ("before", "after")
        for how in ("kill", "unknown", "pause")
    ]


def random_kills(count: int, seed: int, steps: int) -> list[Plan]:
    """Kills of a runner, slot or worker a random moment after a random step."""
    rng = random.Random(f"kills/{seed}")
    plans = []
    for number in range(count):
        how, step = rng.choice(sorted(TARGETS)), rng.randrange(1, steps)
        seconds = round(rng.uniform(0, 0.02), 4)
        what = {"point": "step", "step": step, "how": how, "seconds": seconds}
        plans.append(Plan(f"#{number} {how} after step {step} and {seconds} s", what))
    return plans


class CrashSite:
    """Workers that are harmed where plans say, on one warm stack."""

    def __init__(self, folder: Path) -> None:
        self.stack = WholeStack(
            folder, lease_seconds=LEASE_SECONDS, worker="tests.faults.crash_worker"
        )
        try:
            self.calm = [self.stack.bench.submit(**SPEC, seed=n) for n in range(SEEDS)]
            self._attend({job_id: Plan("calm", {"point": ""}) for job_id in self.calm})
            ends = [self.stack.status(job_id) for job_id in self.calm]
            assert set(ends) == {JobStatus.FINISHED}, ends
            self.steps = int(self.stack.bench.result(self.calm[0])["step"])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End everything."""
        self.stack.close()

    def run(self, plans: Sequence[Plan]) -> Iterator[Result]:
        """Carry plans out, a few at a time; one that struck nobody again, but not for ever."""
        left = [Result(plan) for plan in plans]
        while left:
            batch, left = left[:AT_ONCE], left[AT_ONCE:]
            by_job = {self._submit(number, one.plan): one for number, one in enumerate(batch)}
            self._attend({job_id: one.plan for job_id, one in by_job.items()})
            for number, (job_id, result) in enumerate(by_job.items()):
                result.verdict.judge(self.stack.bench, job_id, self.calm[number % SEEDS])
                self.stack.judge(job_id, result.verdict)
                result.struck = self._evidence(job_id, result.plan)
                if result.struck or result.verdict.bad or result.missed + 1 >= TRIES:
                    yield result
                else:
                    result.missed += 1
                    left.append(result)

    def _submit(self, number: int, plan: Plan) -> str:
        """Queue a job and arm its place before anybody can claim it."""
        bench = self.stack.bench
        with transaction(bench.engine) as session:
            job = spec(**SPEC, seed=number % SEEDS)
            made = jobs.submit(session, job, bench.version, owner="local")
            arm(self.stack.armed, made.id, **plan.what)
            return made.id

    def _evidence(self, job_id: str, plan: Plan) -> str | None:
        """What was struck, if it was; a kill that came when all was done struck nobody."""
        found = struck(self.stack.armed, job_id)
        attempts = self.stack.bench.attempts(job_id)
        killed = plan.point == "step"
        if killed and all(one.status is AttemptStatus.FINISHED for one in attempts):
            return None
        return found

    def _attend(self, plans: dict[str, Plan]) -> None:
        """Bring workers back, pause what is to be released, kill what is to be lost, to the end."""
        asked: set[str] = set()
        give_up_at = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < give_up_at:
            open_ = [one for one in plans if not self.stack.status(one).terminal]
            if not open_:
                break
            self.stack.replace_workers()
            for job_id in open_:
                self._provoke(job_id, plans[job_id].point, asked)
            time.sleep(0.1)
        with suppress(AssertionError):
            until(lambda: not self.stack.orphans())

    def _provoke(self, job_id: str, point: str, asked: set[str]) -> None:
        """Do from outside what brings an attempt to release its job, or to lose it."""
        if point == "release" and self.stack.status(job_id) is JobStatus.PAUSED:
            self._order(jobs.resume, job_id)
        elif job_id not in asked and point in ("release", "lose") and self.stack.running(job_id):
            asked.add(job_id)
            if point == "release":
                self._order(jobs.pause, job_id)
            else:
                self._kill_runner(job_id)

    def _order(self, order: Any, job_id: str) -> None:
        with suppress(ChainruleError), transaction(self.stack.bench.engine) as session:
            order(session, job_id)

    def _kill_runner(self, job_id: str) -> None:
        slot = self.stack.bench.attempts(job_id)[-1].pid
        with suppress(psutil.Error):
            for child in psutil.Process(slot).children():
                if "worker.runner" in child.cmdline():
                    child.kill()
