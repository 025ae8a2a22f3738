"""A cluster in one process and simulated time: the product's use cases on a real database.

Scheduler and workers call `core.jobs` and nothing else; the database's clock stands still between
ticks of a second. A seed decides all that is random, so a run can be repeated.
"""

import random
import uuid
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from chainrule.contract.status import JobStatus
from core import jobs
from core.db.session import transaction
from core.errors import SupersededError, UnavailableError
from tests.core.jobs.state_machine.model import LEASE
from tests.support import single
from tests.support.clocks import StandingClock
from tests.support.job_cases import dataset_version, do, points, spec

RENEW, REAP, RING_AGAIN = 5, 2, 30.0
EVERY_STEPS = 3
MOST_IN_STACK = 4
STACKED = 0.3
FAULTS = {
    "kill": 30, "freeze": 50, "kill_runner": 10, "drain": 10, "lose_answer": 10, "delay": 4,
    "flush": 4, "double": 4, "outage": 1, "freeze_scheduler": 1,
}  # fmt: skip
"""What happens, by how often. What keeps the reaper from reaping is rare."""
COSTLY = ("kill", "freeze", "kill_runner")
"""What a job may be charged for."""


@dataclass
class Member:
    """A claimed job as its worker knows it."""

    claim: jobs.Claim
    step: int
    sequence: int = 0


@dataclass
class Worker:
    """A slot. It knows only what it was answered; the database knows who owns a job."""

    name: str
    node: str
    members: dict[str, Member] = field(default_factory=dict)
    renewed_at: int = 0
    away_until: int = 0
    stop: str | None = None
    answer_lost: bool = False

    def forget(self) -> None:
        """Be a new process that knows of no job."""
        self.members, self.stop = {}, None


class Simulation:
    """`run` trains `count` jobs while `faults` happen, and counts what it saw."""

    def __init__(
        self, clock: StandingClock, seed: int, *, count: int, faults: int, workers: int = 8
    ) -> None:
        self.rng = random.Random(seed)
        self.clock = clock
        self.engine: Engine = clock.engine
        self.down_until = self.scheduler_back = 0
        self.now = 0
        self.messages: deque[str] = deque()
        self.late: dict[int, list[str]] = {}
        self.workers = [Worker(f"w{number}", f"n{number % 4}") for number in range(workers)]
        self.reaper = jobs.Reaper(self.engine, LEASE, monotonic=clock)
        self.reaped = self.refused = self.stacks = 0
        self.happened: Counter[str] = Counter()
        self.blamed: Counter[str] = Counter()
        self.length = self._submit(count)
        self.ended: set[str] = set()
        span = max(1, sum(self.length.values()) // workers)
        kinds, weights = list(FAULTS), list(FAULTS.values())
        self.plan: dict[int, list[str]] = {}
        for kind in [*kinds, *self.rng.choices(kinds, weights, k=faults - len(kinds))]:
            self.plan.setdefault(self.rng.randint(1, span), []).append(kind)
        event.listen(self.engine, "before_cursor_execute", self._refuse)

    def _submit(self, count: int) -> dict[str, int]:
        """Queue the jobs; how many steps each has."""
        given = [(spec(), "s" if self.rng.random() < STACKED else None) for _ in range(count)]
        # Equal ids for equal seeds: jobs of one moment are taken by their ids.
        made = mock.patch.object(uuid, "uuid4", self._id)
        with made, transaction(self.engine) as session:
            version = dataset_version(session)
            ids = jobs.submit_all(session, given, version, owner="local")
        return {job_id: self.rng.randint(2, 8) for job_id in ids}

    def _id(self) -> uuid.UUID:
        return uuid.UUID(int=self.rng.getrandbits(128))

    def _refuse(self, *_: object) -> None:
        """Be a database that does not answer."""
        if self.now < self.down_until:
            raise OperationalError("", None, ConnectionError("the database is away"))

    def run(self, most_ticks: int = 20_000) -> int:
        """Until all have ended and no fault is to come; the ticks it took."""
        while self.now < most_ticks and (self.plan or len(self.ended) < len(self.length)):
            self.now += 1
            self.clock.advance(1)
            for kind in self.plan.pop(self.now, ()):
                self._fault(kind)
            self.messages.extend(self.late.pop(self.now, ()))
            if self.now >= self.scheduler_back:
                self._schedule()
            for worker in self.workers:
                if self.now >= worker.away_until:
                    self._work(worker)
        event.remove(self.engine, "before_cursor_execute", self._refuse)
        return self.now

    def _fault(self, kind: str) -> None:  # noqa: C901 - one short branch for each kind
        self.happened[kind] += 1
        rng, now = self.rng, self.now
        worker = rng.choice([one for one in self.workers if self._may_lose(one)] or self.workers)
        if kind in COSTLY and not self._may_lose(worker):
            return
        if kind in COSTLY:
            self.blamed.update(list(worker.members))
        if kind == "kill":
            worker.forget()
            worker.away_until = now + rng.randint(1, 5)
        elif kind == "freeze":
            worker.away_until = now + rng.randint(1, 90)
        elif kind in ("kill_runner", "drain"):
            worker.stop = kind
        elif kind == "lose_answer":
            worker.answer_lost = True
        elif kind == "delay":
            self.late.setdefault(now + rng.randint(1, 60), []).extend(self.messages)
            self.messages.clear()
        elif kind == "flush":
            self.messages.clear()
        elif kind == "double":
            self.messages.extend([*self.messages, rng.choice(list(self.length))])
        elif kind == "outage":
            self.down_until = now + (60 if rng.random() < 0.1 else rng.randint(1, 6))
        else:
            self.scheduler_back = now + rng.randint(1, 60)

    def _may_lose(self, worker: Worker) -> bool:
        """Whether a worker may lose its jobs: one that is lost three times is to blame itself."""
        return all(self.blamed[job_id] < 2 for job_id in worker.members)

    def _schedule(self) -> None:
        """Send messages for a window of waiting jobs, and take back what fell silent."""
        try:
            jobs.dispatch(
                self.engine,
                lambda job_id, _: self.messages.append(job_id),
                queue="cpu",
                window=2 * len(self.workers),
                again_seconds=RING_AGAIN,
            )
            if self.now % REAP == 0:
                self.reaped += len(self.reaper.look())
        except UnavailableError:
            return

    def _work(self, worker: Worker) -> None:
        """What a worker does in a second. It may not know yet that it was replaced."""
        try:
            if not worker.members:
                self._take(worker)
            elif worker.stop:
                self._stop(worker)
            else:
                self._train(worker)
        except SupersededError:
            self.refused += 1
            worker.forget()
        except UnavailableError:
            # It stands still until the database answers, or says that another took over.
            return

    def _do(self, worker: Worker, use_case: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """The use case in a transaction; where the answer is lost, another time."""
        done = do(self.engine, use_case, *given, **named)
        if worker.answer_lost and use_case is not jobs.claim:
            worker.answer_lost = False
            self.happened["answers lost"] += 1
            return do(self.engine, use_case, *given, **named)
        return done

    def _take(self, worker: Worker) -> None:
        worker.stop = None
        if not self.messages:
            return
        given = {"lease_seconds": LEASE}
        names = {"node": worker.node, "worker": worker.name}
        first = do(self.engine, jobs.claim, self.messages.popleft(), **names, **given)
        if first is None:
            return
        claims = [first]
        worker.members = {first.job_id: _member(first)}
        worker.renewed_at = self.now
        claims += do(self.engine, jobs.claim_stack, first, MOST_IN_STACK - 1, **given)
        worker.members = {claim.job_id: _member(claim) for claim in claims}
        self.stacks += len(claims) > 1

    def _stop(self, worker: Worker) -> None:
        """Give everything back, or lose a runner; not so often that the jobs are to blame."""
        why, worker.stop = worker.stop, None
        members = list(worker.members.values())
        owned = {one.claim.job_id: one.claim.attempt for one in members}
        if len(members) > 1:
            cause = {"kind": why}
            do(self.engine, jobs.release_all, owned, cause=cause, alone=why == "kill_runner")
        elif why == "drain":
            do(self.engine, single.release, *_key(members[0]), cause={"kind": why})
        else:
            do(self.engine, single.lose, *_key(members[0]), cause={"kind": "signal"})
        worker.forget()

    def _train(self, worker: Worker) -> None:
        members = worker.members
        if len(members) > 1:
            self._train_stack(worker)
            return
        ((job_id, member),) = members.items()
        # It writes before it renews: one that slept too long does so, too.
        if member.step < self.length[job_id]:
            chunk = points(member.step + 1, at_ms=self._moment(member))
            self._do(worker, single.record_metrics, *_key(member), member.sequence, chunk)
            member.step, member.sequence = member.step + 1, member.sequence + 1
            if member.step % EVERY_STEPS == 0:
                named = {"key": "k", "size_bytes": 1, "digest": "d", "epoch": 0}
                self._do(worker, jobs.record_checkpoint, *_key(member), step=member.step, **named)
            if self.now - worker.renewed_at >= RENEW:
                if not self._do(worker, jobs.renew, member.claim.owned, LEASE):
                    raise SupersededError("another attempt owns the job")
                worker.renewed_at = self.now
            return
        self._do(worker, single.finish, *_key(member), JobStatus.FINISHED)
        self.ended.add(job_id)
        worker.forget()

    def _train_stack(self, worker: Worker) -> None:
        members = worker.members
        owned = {job_id: one.claim.attempt for job_id, one in members.items()}
        written = {}
        for job_id, one in members.items():
            steps = (one.step + 1,) if one.step < self.length[job_id] else ()
            chunk = points(*steps, at_ms=self._moment(one))
            written[job_id] = jobs.Report.of(one.sequence, chunk)
        ours = self._do(worker, jobs.write, owned, written)
        for job_id in ours:
            moved = bool(len(written[job_id].points))
            members[job_id].step += moved
            members[job_id].sequence += moved
        if self.now - worker.renewed_at >= RENEW:
            ours &= set(self._do(worker, jobs.renew, owned, LEASE))
            worker.renewed_at = self.now
        self.refused += len(owned) - len(ours)
        over = {job_id for job_id in ours if members[job_id].step == self.length[job_id]}
        if over:
            ends = {job_id: jobs.End(JobStatus.FINISHED) for job_id in over}
            self._do(worker, jobs.finish_all, owned, ends)
            self.ended |= over
        worker.members = {job_id: members[job_id] for job_id in ours - over}

    def _moment(self, member: Member) -> int:
        return 1000 * self.now + member.claim.attempt


def _member(claim: jobs.Claim) -> Member:
    return Member(claim, claim.checkpoint.step if claim.checkpoint else 0)


def _key(member: Member) -> tuple[str, int]:
    return member.claim.job_id, member.claim.attempt
