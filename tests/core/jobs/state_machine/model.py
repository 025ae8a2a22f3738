"""What a job is, in plain Python: the model that the database is compared with."""

from dataclasses import dataclass, field

LEASE = 30.0
TERMINAL = {"finished", "failed", "cancelled", "pruned"}


class Refused(Exception):
    """The attempt does not own the job, or the job has ended."""


@dataclass
class JobModel:
    """One job. Moments are seconds of the test's clock."""

    max_attempts: int
    not_before: float
    status: str = "queued"
    attempt: int = 0
    lease_until: float | None = None
    cancel: bool = False
    pause: bool = False
    failures: int = 0
    lost_at: int | None = None
    checkpoint: int = 0
    saved: bool = False
    ended_by: int | None = None
    resumed: dict[int, int] = field(default_factory=dict)
    position: dict[int, int] = field(default_factory=dict)
    written: list[tuple[int, int]] = field(default_factory=list)
    stack_key: str | None = None

    def claim(self, now: float) -> bool:
        """Whether a worker gets the job."""
        if self.status != "queued" or self.not_before > now:
            return False
        self.attempt += 1
        self.status, self.lease_until = "running", now + LEASE
        self.resumed[self.attempt] = self.position[self.attempt] = self.checkpoint
        return True

    def owned_by(self, attempt: int) -> bool:
        """Whether `attempt` owns the job."""
        return self.status == "running" and attempt == self.attempt

    def own(self, attempt: int) -> None:
        """Raise Refused unless `attempt` owns the job."""
        if not self.owned_by(attempt):
            raise Refused

    def fits(self, stack_key: str | None, now: float) -> bool:
        """Whether the job can join a stack of this key now."""
        waits = self.status == "queued" and self.not_before <= now
        return waits and stack_key is not None and self.stack_key == stack_key and not self.saved

    def write(self, attempt: int, count: int) -> list[int]:
        """The steps of the next chunk of an attempt; they count only when it owns the job."""
        start = self.position[attempt]
        self.own(attempt)
        steps = list(range(start + 1, start + count + 1))
        self.written += [(attempt, step) for step in steps]
        self.position[attempt] = start + count
        return steps

    def history(self) -> list[int]:
        """The steps that survive."""
        return sorted(
            step
            for attempt, step in self.written
            if all(step <= at for later, at in self.resumed.items() if later > attempt)
        )

    def ended_as(self, attempt: int, status: str) -> bool:
        """Whether this attempt ended the job so."""
        return self.status == status and self.ended_by == attempt

    def finish(self, attempt: int, status: str) -> None:
        """End the job, or find that this attempt already did."""
        if self.ended_as(attempt, status):
            return
        self.own(attempt)
        self.status, self.lease_until, self.ended_by = status, None, attempt

    def give_back(self, now: float, pause_seconds: float = 0.0) -> None:
        """Wait again, or do what was asked for."""
        self.lease_until = None
        if self.cancel:
            self.status = "cancelled"
            return
        self.status = "paused" if self.pause else "queued"
        self.pause = False
        self.not_before = now + pause_seconds

    def lose(self, now: float) -> None:
        """Charge a lost attempt."""
        advanced = self.lost_at is not None and self.checkpoint > self.lost_at
        self.failures = 1 if advanced else self.failures + 1
        self.lost_at = self.checkpoint
        if self.failures >= self.max_attempts and not self.cancel:
            self.status, self.lease_until = "failed", None
        else:
            pause = 0.0 if self.failures == 1 else min(2.0 ** (self.failures - 1), 60.0)
            self.give_back(now, pause)

    def want(self, order: str, now: float) -> None:
        """Cancel, pause or resume. Raises Refused when the job has ended."""
        if self.status in TERMINAL:
            if order == "cancel" and self.status == "cancelled":
                return
            raise Refused
        if order == "cancel":
            self.cancel = True
            if self.status != "running":
                self.status = "cancelled"
        elif order == "pause":
            if self.status == "running":
                self.pause = True
            else:
                self.status = "paused"
        elif self.status == "paused":
            self.status, self.not_before = "queued", now
        else:
            self.pause = False


@dataclass
class ReaperModel:
    """When a reaper may reap: it saw the database for a whole lease, with no gap of half of one."""

    up_since: float | None = None
    looked_at: float = 0.0

    def may_reap(self, now: float) -> bool:
        """Whether a look at `now` reaps."""
        if self.up_since is None or now - self.looked_at > LEASE / 2:
            self.up_since = now
        self.looked_at = now
        return now - self.up_since >= LEASE
