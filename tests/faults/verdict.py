"""What became of the jobs of a fault, held against what should have been."""

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import select

from core import jobs
from core.db.session import reading
from core.db.tables import MetricChunk
from core.events import MACHINE
from core.jobs.points import points, unpack
from core.status import AttemptStatus, JobStatus
from tests.support.worker_cases import Bench

LOST, DOUBLED, WRONG = "lost", "doubled", "wrong"


@dataclass
class Verdict:
    """Each job that is not as it should be, once, with the worst that can be said of it."""

    jobs: int = 0
    attempts: int = 0
    bad: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)

    def count(self, kind: str) -> int:
        """How many jobs are of a kind: lost, doubled, wrong."""
        return sum(one == kind for one in self.bad.values())

    def against(self, job_id: str, kind: str, why: str) -> None:
        """Say that something is wrong with a job; what was said first counts."""
        self.bad.setdefault(job_id, kind)
        self.said.append(f"{kind}: {job_id} {why}")

    def judge(self, bench: Bench, job_id: str, calm_id: str) -> None:
        """Compare a job with one of the same spec that nothing happened to."""
        job = bench.job(job_id)
        attempts = bench.attempts(job_id)
        self.jobs += 1
        self.attempts += len(attempts)
        with reading(bench.engine) as session:
            events = jobs.events(session, job_id)
        self.history += [f"{job_id} {one.kind} #{one.attempt} by {one.actor}" for one in events]
        ends = [one for one in events if JobStatus(one.status).terminal]
        if job.status is not JobStatus.FINISHED:
            self.against(job_id, LOST, f"is {job.status}: {job.cause}")
            return
        finished = [one for one in attempts if one.status is AttemptStatus.FINISHED]
        if len(ends) != 1 or len(finished) != 1:
            self.against(job_id, DOUBLED, f"ended {len(ends)} times in {len(finished)} attempts")
        if learned(bench, job_id) != learned(bench, calm_id):
            self.against(job_id, WRONG, "has other points")
        elif twice := _twice(bench, job_id):
            self.against(job_id, DOUBLED, f"has points that one attempt wrote twice: {twice}")
        order = [one.attempt for one in events]
        if order != sorted(order):
            self.against(job_id, WRONG, "was changed by an older attempt after a newer one")
        if bench.result(job_id)["weights_digest"] != bench.result(calm_id)["weights_digest"]:
            self.against(job_id, WRONG, "has other weights")
        if any(one.status is AttemptStatus.RUNNING for one in attempts):
            self.against(job_id, WRONG, "has an attempt that still runs")


def learned(bench: Bench, job_id: str) -> dict[str, list[tuple[int, float]]]:
    """The points of a job, without what the machine measured of itself."""
    history = bench.history(job_id)
    return {key: points for key, points in history.items() if not key.startswith(MACHINE)}


def _twice(bench: Bench, job_id: str) -> list[str]:
    """The points that an attempt wrote twice; who reads the history sees them once.

    A machine may be found as it was while a step takes long: there the moment tells points apart.
    """
    with reading(bench.engine) as session:
        rows = session.scalars(select(MetricChunk).where(MetricChunk.job_id == job_id))
        places = Counter(
            f"{point.key} at step {point.step} of attempt {row.attempt}: {point.value!r}"
            + (f" at {point.at_ms} ms" if point.key.startswith(MACHINE) else "")
            for row in rows
            for point in points(row.keys, unpack(row.points))
        )
    return [place for place, count in places.items() if count > 1]


def trained_again_at(bench: Bench, job_id: str, after_attempt: int) -> float | None:
    """When a later attempt of the job first measured something, as a moment of the wall clock."""
    later = select(MetricChunk).where(
        MetricChunk.job_id == job_id, MetricChunk.attempt > after_attempt
    )
    with reading(bench.engine) as session:
        moments = [int(unpack(row.points)["at_ms"].min()) for row in session.scalars(later)]
    return min(moments) / 1000 if moments else None
