"""A random life of jobs, in the database and in the model side by side."""

import random
import uuid
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus
from core import jobs
from core.db.idempotency import KeyedRequest, once
from core.db.session import reading, transaction
from core.db.tables import Base, DatasetVersion, Job, JobEvent, MetricChunk
from core.errors import ChainruleError, ConflictError, SupersededError
from core.jobs.points import unpack
from tests.core.jobs.state_machine.model import LEASE, JobModel, ReaperModel, Refused
from tests.support import single
from tests.support.clocks import START, StandingClock
from tests.support.job_cases import dataset_version, do, points, spec

KEYS = st.sampled_from(["a", "b", "c", None])
STACK_KEYS = st.sampled_from([None, "s", "s"])
MOST_JOBS = 6
PICK = st.integers(0, 1000)
ENDS = st.sampled_from([JobStatus.FINISHED, JobStatus.FAILED, JobStatus.CANCELLED])


class JobMachine(RuleBasedStateMachine):
    """Every rule does one thing to both sides and compares what they say."""

    clock: ClassVar[StandingClock]

    def __init__(self) -> None:
        super().__init__()
        # Equal ids for equal rules: jobs of one moment are taken by their ids.
        self.rng = random.Random(0)
        self.ids = mock.patch.object(uuid, "uuid4", self._id)
        self.ids.start()

    def teardown(self) -> None:
        """Give back the ids of `uuid`."""
        self.ids.stop()

    def _id(self) -> uuid.UUID:
        return uuid.UUID(int=self.rng.getrandbits(128))

    @initialize(stack_keys=st.lists(STACK_KEYS, min_size=1, max_size=4))
    def begin(self, stack_keys: list[str | None]) -> None:
        """Empty the database, submit some jobs and claim the first."""
        self.prepare()
        for stack_key in stack_keys:
            self.submit(None, 3, stack_key)
        self.claim_first()

    def claim_first(self) -> None:
        """Claim something, so that there is something to do."""
        self.try_claim(self.job(0))

    def prepare(self) -> None:
        """Empty both sides."""
        self.engine: Engine = self.clock.engine
        with transaction(self.engine) as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(table.delete())
            self.version: DatasetVersion = dataset_version(session)
        self.models: dict[str, JobModel] = {}
        self.keys: dict[str, str] = {}
        self.claims: list[jobs.Claim] = []
        self.compared: dict[str, tuple[int, int]] = {}
        self.sequences: dict[tuple[str, int], int] = {}
        self.reaper = jobs.Reaper(self.engine, LEASE, monotonic=self.clock)
        self.reaper_model = ReaperModel()

    @property
    def now(self) -> float:
        return self.clock.seconds

    def job(self, pick: int) -> str:
        return list(self.models)[pick % len(self.models)]

    def claim_of(self, pick: int) -> tuple[jobs.Claim, JobModel]:
        """Mostly the newest claim that owns its job, else any there ever was."""
        claims = self.claims
        if pick % 4:
            claims = [it for it in claims if self.models[it.job_id].owned_by(it.attempt)] or claims
        claim = claims[-1 if pick % 2 else pick % len(claims)]
        return claim, self.models[claim.job_id]

    def both(
        self,
        expected: Callable[[], Any],
        done: Callable[[], Any],
        refusal: type[ChainruleError] = SupersededError,
    ) -> bool:
        """Do it on both sides; whether both did it. They must agree, and refuse with `refusal`."""
        try:
            expected()
        except Refused:
            try:
                done()
            except refusal:
                return False
            raise AssertionError("the database allowed what the model refuses") from None
        done()
        return True

    def chunk(self, job_id: str, attempt: int, count: int) -> list[jobs.Point]:
        """The next points of an attempt; each attempt writes them at moments of its own."""
        start = self.models[job_id].position[attempt]
        return points(*range(start + 1, start + count + 1), at_ms=1_000_000 * attempt)

    @precondition(lambda self: len(self.models) < MOST_JOBS)
    @rule(key=KEYS, most=st.integers(1, 3), stack_key=STACK_KEYS)
    def submit(self, key: str | None, most: int, stack_key: str | None = None) -> None:
        job, replayed = do(self.engine, self.submit_once, key, most, stack_key)
        if key is not None and key in self.keys:
            assert (job.id, replayed) == (self.keys[key], True)
            return
        assert job.id not in self.models
        self.models[job.id] = JobModel(most, self.now, stack_key=stack_key)
        if key is not None:
            self.keys[key] = job.id

    def submit_once(
        self, session: Session, key: str | None, most: int, stack_key: str | None
    ) -> tuple[Job, bool]:
        """The job of a submission with an idempotency key, and whether it existed."""
        return once(
            session,
            KeyedRequest("a", key, "h"),
            lambda: jobs.submit(
                session, spec(max_attempts=most), self.version, owner="a", stack_key=stack_key
            ),
            partial(jobs.get, session),
        )

    @precondition(lambda self: self.models)
    @rule(pick=PICK)
    def claim(self, pick: int) -> None:
        self.try_claim(self.job(pick))

    def try_claim(self, job_id: str) -> bool:
        """Claim a job on both sides; whether it could be claimed."""
        expected = self.models[job_id].claim(self.now)
        given = {"node": "n", "worker": "w", "lease_seconds": LEASE}
        claim = do(self.engine, jobs.claim, job_id, **given)
        assert (claim is not None) is expected
        if claim is not None:
            assert claim.attempt == self.models[job_id].attempt
            self.claims.append(claim)
        return expected

    @precondition(lambda self: self.claims)
    @rule(pick=PICK)
    def renew(self, pick: int) -> None:
        claim, model = self.claim_of(pick)

        def expected() -> None:
            model.own(claim.attempt)
            model.lease_until = self.now + LEASE

        def done() -> None:
            renewed = do(self.engine, jobs.renew, claim.owned, LEASE)
            if claim.job_id not in renewed:
                raise SupersededError("not renewed")
            assert renewed == {claim.job_id: jobs.Signals(model.cancel, model.pause)}

        self.both(expected, done)

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, count=st.integers(1, 4), twice=st.booleans())
    def write(self, pick: int, count: int, twice: bool) -> None:
        claim, model = self.claim_of(pick)
        key = (claim.job_id, claim.attempt)
        sequence = self.sequences.get(key, 0)
        chunk = self.chunk(*key, count)

        def done() -> None:
            for _ in range(1 + twice):
                do(self.engine, single.record_metrics, *key, sequence, chunk)

        if self.both(lambda: model.write(claim.attempt, count), done):
            self.sequences[key] = sequence + 1

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, twice=st.booleans())
    def save(self, pick: int, twice: bool) -> None:
        claim, model = self.claim_of(pick)
        step = model.position[claim.attempt]

        def expected() -> None:
            model.own(claim.attempt)
            model.checkpoint, model.saved = step, True

        def done() -> None:
            for _ in range(1 + twice):
                do(
                    self.engine, jobs.record_checkpoint, claim.job_id, claim.attempt, step=step,
                    epoch=0, key="k", size_bytes=1, digest="d",
                )  # fmt: skip

        self.both(expected, done)

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, status=ENDS, twice=st.booleans())
    def finish(self, pick: int, status: JobStatus, twice: bool) -> None:
        claim, model = self.claim_of(pick)

        def done() -> None:
            for _ in range(1 + twice):
                do(self.engine, single.finish, claim.job_id, claim.attempt, status)

        self.both(lambda: model.finish(claim.attempt, status.value), done)

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, lost=st.booleans())
    def give_back(self, pick: int, lost: bool) -> None:
        claim, _ = self.claim_of(pick)
        self.end_early(claim.job_id, claim.attempt, lost)

    def end_early(self, job_id: str, attempt: int, lost: bool) -> None:
        """Lose an attempt, or give its job back."""
        model, given = self.models[job_id], (job_id, attempt)

        def expected() -> None:
            model.own(attempt)
            (model.lose if lost else model.give_back)(self.now)

        def done() -> None:
            if lost:
                do(self.engine, single.lose, *given, cause={"kind": "signal"})
            else:
                do(self.engine, single.release, *given)

        self.both(expected, done)

    @precondition(lambda self: self.models)
    @rule(pick=PICK, order=st.sampled_from(["cancel", "pause", "resume"]))
    def want(self, pick: int, order: str) -> None:
        job_id = self.job(pick)
        self.both(
            lambda: self.models[job_id].want(order, self.now),
            lambda: do(self.engine, getattr(jobs, order), job_id),
            ConflictError,
        )

    @rule(seconds=st.sampled_from([1, 5, 13, 29, 40]))
    def tick(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([31, 45]))
    def watched_time(self, seconds: int) -> None:
        """Time in which the reaper looks and no worker renews."""
        for _ in range(seconds // 5):
            self.clock.advance(5)
            self.look()

    @rule()
    def look(self) -> None:
        silent = [
            job_id
            for job_id, model in self.models.items()
            if model.lease_until is not None and model.lease_until < self.now
        ]
        expected = silent if self.reaper_model.may_reap(self.clock()) else []
        assert sorted(self.reaper.look()) == sorted(expected)
        for job_id in expected:
            self.models[job_id].lose(self.now)

    @precondition(lambda self: self.claims)
    @rule(
        pick=PICK,
        losses=st.lists(st.booleans(), min_size=1, max_size=3),
        pause=st.sampled_from([0, 1, 61]),
        count=st.integers(0, 4),
        saves=st.booleans(),
    )
    def take_over(
        self, pick: int, losses: list[bool], pause: int, count: int, saves: bool = False
    ) -> None:
        """One attempt takes the place of another, so that the first acts too late.

        Each new one writes `count` points and then may save a checkpoint.
        """
        claim, model = self.claim_of(pick)
        attempt = claim.attempt
        for lost in losses:
            if model.owned_by(attempt):
                self.end_early(claim.job_id, attempt, lost)
                self.tick(pause)
                if self.try_claim(claim.job_id) and count:
                    self.write(-1, count, False)
                    if saves:
                        self.save(-1, False)
                attempt = model.attempt

    @invariant()
    def both_sides_agree(self) -> None:
        if not hasattr(self, "models"):
            return
        with reading(self.engine) as session:
            rows = {job.id: job for job in session.scalars(select(Job))}
            assert rows.keys() == self.models.keys()
            for job_id, model in self.models.items():
                row = rows[job_id]
                lease = row.lease_until and (row.lease_until - START).total_seconds()
                said = (row.status.value, row.attempt, row.infra_failures, lease, row.stack_key)
                assert said == (
                    model.status, model.attempt, model.failures, model.lease_until, model.stack_key
                )  # fmt: skip
                # Reading a history is dear, and only writing and claiming change it.
                if self.compared.get(job_id) != (model.attempt, len(model.written)):
                    series = jobs.metrics(session, job_id).series.get("train/loss")
                    assert ([] if series is None else series["step"].tolist()) == model.history()
                    self.compared[job_id] = model.attempt, len(model.written)
            self._check_events(rows, list(session.scalars(select(JobEvent).order_by(JobEvent.id))))
            self._check_chunks(list(session.scalars(select(MetricChunk))))

    def _check_chunks(self, chunks: list[MetricChunk]) -> None:
        """No attempt wrote a step twice: who reads the history would not see that."""
        written = Counter(
            (chunk.job_id, chunk.attempt, int(step))
            for chunk in chunks
            for step in unpack(chunk.points)["step"]
        )
        assert [place for place, count in written.items() if count > 1] == []

    def _check_events(self, rows: dict[str, Job], events: list[JobEvent]) -> None:
        """Each job that ended did so once, and the last event of each says how it is."""
        ends = Counter(it.job_id for it in events if JobStatus(it.status).terminal)
        assert ends == {job_id: 1 for job_id, row in rows.items() if row.status.terminal}
        last = {event.job_id: event.status for event in events}
        assert last == {job_id: row.status.value for job_id, row in rows.items()}
