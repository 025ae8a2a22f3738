"""Do faults to a stack that trains, heal it, and compare with what should have been."""

import random
import time
from dataclasses import dataclass, field
from typing import Any

from core.status import AttemptStatus, JobStatus
from tests.faults.cluster.stack import Stack, training
from tests.faults.cluster.surroundings import WholeStack
from tests.faults.kinds import links, machines, processes, releases, servers, stores, surroundings
from tests.faults.matrix import FAULTS, Fault
from tests.faults.scene import Change, Missed, Scene
from tests.faults.verdict import WRONG, Verdict, trained_again_at
from tests.support.worker_cases import until

KINDS = (processes, servers, links, machines, surroundings, stores, releases)
"""What fills the matrix."""

SPEC: dict[str, Any] = {"epochs": 300, "checkpoint": {"every_steps": 40}}
JOBS = 2
MOST_JOBS = 7
DRAIN_SECONDS = 300
TRIES = 8


@dataclass
class Outcome:
    """What one fault did, and what became of the jobs that were there."""

    fault: str
    seed: int
    verdict: Verdict = field(default_factory=Verdict)
    struck: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    skipped: str = ""
    from_fault_seconds: float | None = None
    from_healing_seconds: float | None = None
    mirrored_seconds: float | None = None

    @property
    def broken(self) -> list[str]:
        """Every invariant that did not hold; a fault that never struck is one, too."""
        if self.struck or self.skipped:
            return self.verdict.said
        return [*self.verdict.said, f"{self.fault} struck nothing: {'; '.join(self.missed)}"]

    def note(self, text: str) -> None:
        """Add to the history."""
        self.verdict.history.append(text)


class Nemesis:
    """Runs faults one after another on one stack; a seed decides all that is random."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.calm = [stack.bench.submit(**SPEC, seed=number) for number in range(MOST_JOBS)]
        self._drain(self.calm)
        for job_id in self.calm:
            assert stack.status(job_id) is JobStatus.FINISHED, stack.bench.job(job_id).cause

    def run(self, name: str, seed: int, *, tries: int = TRIES) -> Outcome:
        """One fault at a random moment of two jobs' training, until it has struck something."""
        outcome = Outcome(name, seed)
        fault = FAULTS[name]
        if fault.needs and (why := self.stack.lacks(fault.needs)):
            outcome.skipped = why
            return outcome
        for number in range(tries):
            if self._try(fault, f"{name}/{seed}/{number}", outcome) or outcome.verdict.bad:
                break
        return outcome

    def _try(self, fault: Fault, seed: str, outcome: Outcome) -> bool:
        """Do the fault once, heal, drain and judge; whether it struck somebody who trained."""
        stack, rng = self.stack, random.Random(seed)
        job_ids = [stack.bench.submit(**SPEC, seed=number) for number in range(JOBS)]
        outcome.note(f"submitted {' '.join(job_ids)}")
        scene: Scene | None = None
        missed = ""

        def more(change: Change | None = None) -> str:
            assert len(job_ids) < MOST_JOBS
            job_ids.append(stack.submit(change, **SPEC, seed=len(job_ids)))
            return job_ids[-1]

        try:
            victim = rng.choice(job_ids)
            training(stack, victim)
            time.sleep(rng.uniform(0.0, 0.5))
            scene = Scene(stack, victim, more, seed)
            outcome.note(f"{fault.name} at step {scene.step} of {victim}, attempt {scene.attempt}")
            fault.do(scene)
        except Missed as error:
            missed = str(error)
        stack.heal()
        healed_at = time.time()
        outcome.note("healed")
        self._drain(job_ids)
        self._end_orphans(outcome)
        for job_id, calm in zip(job_ids, self.calm, strict=False):
            outcome.verdict.judge(stack.bench, job_id, calm)
            self._look_at_mlflow(job_id, healed_at, outcome)
        for why in scene.wrong if scene else ():
            outcome.verdict.against(f"a job of {fault.name}", WRONG, why)
        why = missed
        if scene is not None and not why:
            why = self._escaped(fault, scene)
        if scene is None or why:
            outcome.missed.append(why)
            outcome.note(f"missed: {why}")
            return False
        outcome.struck = [strike.what for strike in scene.strikes]
        outcome.verdict.history += outcome.struck
        self._time(scene, healed_at, outcome)
        return True

    def _escaped(self, fault: Fault, scene: Scene) -> str:
        """Why the fault did not meet the attempt after all; empty if it did."""
        if not scene.strikes:
            return "it did not say what it struck"
        job = self.stack.bench.job(scene.job_id)
        if job.finished_at is not None and job.finished_at.timestamp() <= scene.strikes[0].at:
            return "the job had ended before the fault"
        attempts = {one.number: one for one in self.stack.bench.attempts(scene.job_id)}
        if fault.costs and attempts[scene.attempt].status is AttemptStatus.FINISHED:
            return f"attempt {scene.attempt} finished all the same"
        return ""

    def _time(self, scene: Scene, healed_at: float, outcome: Outcome) -> None:
        """How long it took until a later attempt trained, when the fault cost one."""
        at = trained_again_at(self.stack.bench, scene.job_id, scene.attempt)
        if at is not None:
            outcome.from_fault_seconds = at - scene.strikes[0].at
            outcome.from_healing_seconds = max(0.0, at - healed_at)

    def _look_at_mlflow(self, job_id: str, healed_at: float, outcome: Outcome) -> None:
        """MLflow is to show the truth soon, if there is one."""
        if isinstance(self.stack, WholeStack) and self.stack.judge(job_id, outcome.verdict):
            finished_at = self.stack.bench.job(job_id).finished_at
            assert finished_at is not None
            outcome.mirrored_seconds = time.time() - max(healed_at, finished_at.timestamp())

    def _end_orphans(self, outcome: Outcome) -> None:
        """Nothing that a dead worker started may live on for long."""
        try:
            until(lambda: not self.stack.orphans())
        except AssertionError:
            for one in self.stack.orphans():
                outcome.verdict.against(f"process {one.pid}", WRONG, "outlived its worker")
                one.kill()

    def _drain(self, job_ids: list[str]) -> None:
        """Wait for the ends; jobs without one are found by the verdict."""
        give_up_at = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < give_up_at:
            if all(self.stack.status(job_id).terminal for job_id in job_ids):
                return
            time.sleep(0.1)
