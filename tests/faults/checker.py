"""Check the jobs of a fault against jobs of the same specs that trained undisturbed."""

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import select

from chainrule.contract.metric_names import MACHINE
from chainrule.contract.status import AttemptStatus, JobStatus
from core import jobs
from core.db.session import reading
from core.db.tables import MetricChunk
from core.jobs.points import points, unpack
from tests.support.worker_cases import Bench

LOST, DOUBLED, WRONG = "lost", "doubled", "wrong"


@dataclass
class Checker:
    """Counts the jobs and attempts that it checked, and collects the invariants they violate.

    `violations` maps the id of each bad job to `lost`, `doubled` or `wrong`: its first violation.
    `messages` has a line for each violation, `history` one for each event of a job.
    """

    jobs: int = 0
    attempts: int = 0
    violations: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)

    def count(self, kind: str) -> int:
        """The number of jobs with this kind of violation."""
        return sum(violation == kind for violation in self.violations.values())

    def report(self, job_id: str, kind: str, why: str) -> None:
        """Add a violation; the kind of the first one of a job counts."""
        self.violations.setdefault(job_id, kind)
        self.messages.append(f"{kind}: {job_id} {why}")

    def check(self, bench: Bench, job_id: str, reference_id: str) -> None:
        """Compare a job with one of the same spec that trained undisturbed."""
        job = bench.job(job_id)
        attempts = bench.attempts(job_id)
        self.jobs += 1
        self.attempts += len(attempts)
        with reading(bench.engine) as session:
            events = jobs.events(session, job_id)
        self.history += [f"{job_id} {it.kind} #{it.attempt} by {it.actor}" for it in events]
        ends = [event for event in events if JobStatus(event.status).terminal]
        if job.status is not JobStatus.FINISHED:
            self.report(job_id, LOST, f"is {job.status}: {job.cause}")
            return
        finished = [it for it in attempts if it.status is AttemptStatus.FINISHED]
        if len(ends) != 1 or len(finished) != 1:
            self.report(job_id, DOUBLED, f"ended {len(ends)} times in {len(finished)} attempts")
        if training_points(bench, job_id) != training_points(bench, reference_id):
            self.report(job_id, WRONG, "has other points")
        elif repeated := _repeated_points(bench, job_id):
            self.report(job_id, DOUBLED, f"has points that one attempt wrote twice: {repeated}")
        numbers = [event.attempt for event in events]
        if numbers != sorted(numbers):
            self.report(job_id, WRONG, "was changed by an older attempt after a newer one")
        if bench.result(job_id)["weights_digest"] != bench.result(reference_id)["weights_digest"]:
            self.report(job_id, WRONG, "has other weights")
        if any(attempt.status is AttemptStatus.RUNNING for attempt in attempts):
            self.report(job_id, WRONG, "has an attempt that still runs")


def training_points(bench: Bench, job_id: str) -> dict[str, list[tuple[int, float]]]:
    """Step and value of each point of a job by metric, without its system metrics."""
    history = bench.history(job_id)
    return {key: points for key, points in history.items() if not key.startswith(MACHINE)}


def _repeated_points(bench: Bench, job_id: str) -> list[str]:
    """The points that an attempt wrote twice, which readers of the history see once.

    System metrics may repeat a value while a step takes long, so their times distinguish them.
    """
    with reading(bench.engine) as session:
        rows = session.scalars(select(MetricChunk).where(MetricChunk.job_id == job_id))
        counts = Counter(
            f"{point.key} at step {point.step} of attempt {row.attempt}: {point.value!r}"
            + (f" at {point.at_ms} ms" if point.key.startswith(MACHINE) else "")
            for row in rows
            for point in points(row.keys, unpack(row.points))
        )
    return [place for place, count in counts.items() if count > 1]


def first_point_at(bench: Bench, job_id: str, *, after_attempt: int) -> float | None:
    """When a later attempt recorded its first point, in seconds of the wall clock."""
    later = select(MetricChunk).where(
        MetricChunk.job_id == job_id, MetricChunk.attempt > after_attempt
    )
    with reading(bench.engine) as session:
        times = [int(unpack(row.points)["at_ms"].min()) for row in session.scalars(later)]
    return min(times) / 1000 if times else None
