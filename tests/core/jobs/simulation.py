"""A cluster in one process and no time: scheduler, bells, workers and faults by a clock of ticks.

The jobs are those of `model`, which the state machine compares with the databases.
"""

import random
from collections import Counter, deque
from dataclasses import dataclass

from tests.core.jobs.model import LEASE, TERMINAL, JobModel, ReaperModel, Refused

RENEW, FENCE, REAP, RING_AGAIN = 5, 25, 2, 30
EVERY_STEPS = 3
FAULTS = ("kill", "freeze", "outage", "flush", "double", "freeze_scheduler")
WEIGHTS = (40, 40, 1, 8, 10, 1)
"""What keeps the reaper from reaping is rare, or nothing would ever be taken back."""


@dataclass
class Worker:
    """A slot. It knows only what it was told; the job knows who owns it."""

    job: int | None = None
    attempt: int = 0
    renewed_at: int = 0
    away_until: int = 0


class Simulation:
    """`run` trains `count` jobs while `faults` happen, and keeps what it saw."""

    def __init__(self, seed: int, *, count: int, faults: int, workers: int = 40) -> None:
        self.rng = random.Random(seed)
        self.jobs = [JobModel(10, 0.0) for _ in range(count)]
        self.length = [self.rng.randint(4, 12) for _ in range(count)]
        self.waiting = deque(range(count))
        self.rung: dict[int, int] = {}
        self.bells: deque[int] = deque()
        self.workers = [Worker() for _ in range(workers)]
        self.leased: set[int] = set()
        self.reaper = ReaperModel()
        self.outage_until = self.scheduler_back = 0
        self.ends: Counter[int] = Counter()
        self.refused = self.reaped = 0
        self.happened: Counter[str] = Counter()
        span = max(1, sum(self.length) // workers)
        self.plan = Counter(self.rng.randint(1, span) for _ in range(faults))

    @property
    def over(self) -> bool:
        """Whether every job ended and no fault is to come."""
        return len(self.ends) == len(self.jobs)

    def run(self, most_ticks: int = 100_000) -> int:
        """Until all is over; the ticks it took."""
        for now in range(1, most_ticks):
            for _ in range(self.plan.pop(now, 0)):
                self._fault(self.rng.choices(FAULTS, WEIGHTS)[0], now)
            if now >= self.scheduler_back:
                self._schedule(now)
            for worker in self.workers:
                if now >= worker.away_until:
                    self._work(worker, now)
            if self.over and not self.plan:
                return now
        return most_ticks

    def _up(self, now: int) -> bool:
        return now >= self.outage_until

    def _fault(self, kind: str, now: int) -> None:
        self.happened[kind] += 1
        worker = self.rng.choice(self.workers)
        if kind == "kill":
            worker.job = None
            worker.away_until = now + self.rng.randint(1, 5)
        elif kind == "freeze":
            worker.away_until = now + self.rng.randint(1, 90)
        elif kind == "outage":
            self.outage_until = now + self.rng.randint(1, 6)
            if self.rng.random() < 0.05:
                self.outage_until = now + 60
        elif kind == "flush":
            self.bells.clear()
        elif kind == "double":
            self.bells.extend([*self.bells, self.rng.randrange(len(self.jobs))])
        else:
            self.scheduler_back = now + self.rng.randint(1, 60)

    def _schedule(self, now: int) -> None:
        """Ring for a window of waiting jobs, and take back what fell silent."""
        if not self._up(now):
            self.reaper.up_since = None
            return
        self.rung = {
            job: at
            for job, at in self.rung.items()
            if self.jobs[job].status == "queued" and now - at < RING_AGAIN
        }
        for _ in range(min(len(self.waiting), 2 * len(self.workers) - len(self.rung))):
            job = self.waiting.popleft()
            if self.jobs[job].status == "queued":
                self.waiting.append(job)
                if job not in self.rung and self.jobs[job].not_before <= now:
                    self.rung[job] = now
                    self.bells.append(job)
        if now % REAP == 0 and self.reaper.may_reap(now):
            for number in sorted(self.leased):
                lease_until = self.jobs[number].lease_until
                if lease_until is not None and lease_until < now:
                    self._lose(number, now)

    def _lose(self, number: int, now: int) -> None:
        self.reaped += 1
        self.jobs[number].lose(now)
        self.leased.discard(number)
        if self.jobs[number].status in TERMINAL:
            self.ends[number] += 1
        else:
            self.waiting.appendleft(number)

    def _work(self, worker: Worker, now: int) -> None:
        if worker.job is None:
            self._take(worker, now)
        elif now - worker.renewed_at >= FENCE and not self._up(now):
            worker.job = None
        elif self._up(now):
            try:
                self._train(worker, self.jobs[worker.job], worker.job, now)
            except Refused:
                self.refused += 1
                worker.job = None

    def _take(self, worker: Worker, now: int) -> None:
        if not self.bells or not self._up(now):
            return
        number = self.bells.popleft()
        job = self.jobs[number]
        if job.claim(now):
            worker.job, worker.attempt, worker.renewed_at = number, job.attempt, now
            self.leased.add(number)

    def _train(self, worker: Worker, job: JobModel, number: int, now: int) -> None:
        """One step, as a worker that may not know yet that it was replaced."""
        if now - worker.renewed_at >= RENEW:
            job.own(worker.attempt)
            job.lease_until, worker.renewed_at = now + LEASE, now
        job.write(worker.attempt, 1)
        at = job.position[worker.attempt]
        if at == self.length[number]:
            job.finish(worker.attempt, "finished")
            self.ends[number] += 1
            self.leased.discard(number)
            worker.job = None
        elif at % EVERY_STEPS == 0:
            job.own(worker.attempt)
            job.checkpoint = at
