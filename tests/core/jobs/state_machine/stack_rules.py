"""Rules for jobs that train as a stack, in addition to those for single jobs."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from chainrule.contract.status import JobStatus
from core import jobs
from tests.core.jobs.state_machine.machine import ENDS, PICK, JobMachine
from tests.core.jobs.state_machine.model import LEASE
from tests.support.job_cases import do

STACKED = {"cause": {"kind": "stack"}}
COUNTS = st.lists(st.integers(0, 3), min_size=1, max_size=3)


class StackMachine(JobMachine):
    """A job machine whose workers also claim, renew, write, finish and release several at once."""

    def prepare(self) -> None:
        super().prepare()
        self.stacks: list[dict[str, int]] = []

    def claim_first(self) -> None:
        self.claim_stack(0, 3, False)

    def stack(self, pick: int) -> tuple[dict[str, int], set[str]]:
        """A stack, mostly the newest, and the ids of the members that it still owns."""
        owned = self.stacks[-1 if pick % 4 else pick % len(self.stacks)]
        return owned, {key for key in owned if self.models[key].owned_by(owned[key])}

    @precondition(lambda self: self.models)
    @rule(pick=PICK, most=st.integers(1, 3), saved=st.booleans())
    def claim_stack(self, pick: int, most: int, saved: bool) -> None:
        """Claim a job and a stack with it; perhaps one of the others has a checkpoint by then."""
        first_id = self.job(pick)
        if saved:
            self._interrupt_first(first_id)
        if not self.try_claim(first_id):
            return
        first, model = self.claims[-1], self.models[first_id]
        resumes = model.saved
        fitting = {k for k, one in self.models.items() if one.fits(first.stack_key, self.now)}
        given = {"lease_seconds": LEASE}
        others = do(self.engine, jobs.claim_stack, first, most, **given)
        assert len(others) == (0 if resumes else min(most, len(fitting)))
        for claim in others:
            assert claim.job_id in fitting
            assert self.models[claim.job_id].claim(self.now)
            assert claim.attempt == self.models[claim.job_id].attempt
            assert claim.checkpoint is None
        self.claims += others
        if others:
            self.stacks.append({claim.job_id: claim.attempt for claim in (first, *others)})

    def _interrupt_first(self, first_id: str) -> None:
        """Have a job that would fit into a stack train alone up to a checkpoint."""
        for job_id, model in self.models.items():
            if job_id != first_id and model.fits(self.models[first_id].stack_key, self.now):
                self.try_claim(job_id)
                self.save(-1, False)
                self.end_early(job_id, model.attempt, False)
                return

    @precondition(lambda self: self.stacks)
    @rule(pick=PICK)
    def renew_stack(self, pick: int) -> None:
        owned, ours = self.stack(pick)
        renewed = do(self.engine, jobs.renew, owned, LEASE)
        assert renewed.keys() == ours
        for job_id, wanted in renewed.items():
            model = self.models[job_id]
            assert (wanted.cancel_requested, wanted.pause_requested) == (model.cancel, model.pause)
            model.lease_until = self.now + LEASE

    @precondition(lambda self: self.stacks)
    @rule(pick=PICK, counts=COUNTS, twice=st.booleans())
    def write_stack(self, pick: int, counts: list[int], twice: bool) -> None:
        owned, ours = self.stack(pick)
        written = {}
        for number, key in enumerate(owned.items()):
            chunk = self.chunk(*key, counts[number % len(counts)])
            written[key[0]] = jobs.Report.of(self.sequences.get(key, 0), chunk)
        for _ in range(1 + twice):
            assert do(self.engine, jobs.write, owned, written) == ours
        for job_id in ours:
            if count := len(written[job_id].points):
                self.models[job_id].write(owned[job_id], count)
                self.sequences[job_id, owned[job_id]] = written[job_id].sequence + 1

    @precondition(lambda self: self.stacks)
    @rule(pick=PICK, status=ENDS, twice=st.booleans(), whole=st.booleans())
    def finish_stack(self, pick: int, status: JobStatus, twice: bool, whole: bool) -> None:
        owned, ours = self.stack(pick)
        ended = list(owned) if whole else list(owned)[:1]
        ends = {job_id: jobs.End(status) for job_id in ended}
        expected = ours & set(ended) | {
            job_id for job_id in ended if self.models[job_id].ended_as(owned[job_id], status.value)
        }
        for _ in range(1 + twice):
            assert do(self.engine, jobs.finish_all, owned, ends) == expected
        for job_id in ours & set(ended):
            self.models[job_id].finish(owned[job_id], status.value)

    @precondition(lambda self: self.stacks)
    @rule(pick=PICK, alone=st.booleans(), order=st.sampled_from([None, "pause", "cancel"]))
    def give_back_stack(self, pick: int, alone: bool, order: str | None) -> None:
        owned, ours = self.stack(pick)
        if ours and order:
            job_id = min(ours)
            self.models[job_id].want(order, self.now)
            do(self.engine, getattr(jobs, order), job_id)
        assert do(self.engine, jobs.release_all, owned, alone=alone, **STACKED) == ours
        for job_id in ours:
            model = self.models[job_id]
            model.give_back(self.now)
            model.stack_key = None if alone else model.stack_key
