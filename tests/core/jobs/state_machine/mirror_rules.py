"""Rules for MLflow: points arrive there once, whatever breaks off while they are sent."""

from collections import Counter
from collections.abc import Sequence
from typing import cast

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from core import jobs
from core.data.storage.stores import Store
from core.db.session import reading
from core.errors import UnavailableError
from core.settings import Settings
from core.tracking import MetricPoint, MlflowServer
from tests.core.jobs.state_machine.machine import PICK, JobMachine
from worker.mlflow.jobs import JobMirror

SHARES = st.sampled_from([0.0, 0.5, 1.0])


class PointStore:
    """What MLflow does with points: it keeps each once and takes an exact repetition for one.

    `breaks` says where the next call breaks off: after that share of the points, as a server that
    goes away does. None: it answers.
    """

    def __init__(self) -> None:
        self.points: dict[str, set[MetricPoint]] = {}
        self.breaks: float | None = None

    def log_points(self, run_id: str, points: Sequence[MetricPoint]) -> None:
        """Keep the points of a run. Raises UnavailableError when it is to break off."""
        share = 1.0 if self.breaks is None else self.breaks
        self.points.setdefault(run_id, set()).update(points[: round(share * len(points))])
        if self.breaks is not None:
            raise UnavailableError("MLflow went away")

    def repeated(self) -> list[tuple[str, str, int]]:
        """Run, metric and step of all points of which there is more than one."""
        counts = Counter(
            (run_id, point.key, point.step)
            for run_id, points in self.points.items()
            for point in points
        )
        return [place for place, count in counts.items() if count > 1]

    def steps(self, run_id: str) -> set[int]:
        """The steps of which a run has a point."""
        return {point.step for point in self.points.get(run_id, ())}


class MirrorMachine(JobMachine):
    """A job machine that is mirrored; the run of a job is named as the job."""

    def prepare(self) -> None:
        super().prepare()
        self.mlflow = PointStore()
        self.mirror = JobMirror(self.clock.engine, cast(Store, None), Settings())

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, breaks=st.sampled_from([None, 0.0, 0.5, 1.0]))
    def show(self, pick: int, breaks: float | None) -> None:
        self.send(self.claim_of(pick)[0].job_id, breaks)

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, counts=st.lists(st.integers(1, 4), min_size=2, max_size=4), last=SHARES)
    def die_while_sending(self, pick: int, counts: list[int], last: float) -> None:
        """Attempts follow each other, and each dies while its points are sent."""
        claim, model = self.claim_of(pick)
        if not model.owned_by(claim.attempt):
            return
        for count in counts:
            self.take_over(pick, [False], 1, count)
            self.send(claim.job_id, last)
        self.send(claim.job_id, None)

    def send(self, job_id: str, breaks: float | None) -> None:
        """Send what MLflow lacks of a job; perhaps it breaks off after a share of the points."""
        self.mlflow.breaks = breaks
        try:
            sent = self.mirror.send_points(cast(MlflowServer, self.mlflow), job_id, job_id)
        except UnavailableError:
            return
        assert sent
        with reading(self.engine) as session:
            assert jobs.unmirrored(session, job_id).chunk_ids == []
        assert self.mlflow.steps(job_id) >= set(self.models[job_id].history())

    @invariant()
    def no_point_is_shown_twice(self) -> None:
        if hasattr(self, "mlflow"):
            assert self.mlflow.repeated() == []
