"""Mirror sweeps to MLflow: one run for each, the parent of the runs of its trials."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from chainrule.contract.status import SweepStatus
from core import sweeps
from core.db.mirrored import Mirrored
from core.db.session import reading, transaction
from core.db.tables import Sweep
from core.db.types import to_milliseconds
from core.settings import Settings
from core.tracking import SWEEP_TAG, Artifact, MetricPoint
from worker.mlflow.artifacts import sweep_artifacts
from worker.mlflow.description import Subject, describe_sweep
from worker.mlflow.mirror import Batch, Mirror

_PAGE = 50


class SweepMirror(Mirror[Subject]):
    """Mirrors sweeps while they run and once more when they have ended."""

    kind: ClassVar[str] = "sweep"
    tag: ClassVar[str] = SWEEP_TAG
    table: ClassVar[Mirrored] = Sweep
    lock_seconds: ClassVar[float] = 150.0
    rest_factor: ClassVar[float] = 20.0
    min_rest_seconds: ClassVar[float] = 2.0

    def __init__(self, engine: Engine, settings: Settings) -> None:
        super().__init__(engine, settings)
        self._sent: dict[str, list[MetricPoint]] = {}
        """For each sweep that is behind, the points that its run certainly has."""

    def behind(self, session: Session) -> list[str]:
        """Ids of sweeps whose runs may not be up to date, oldest first."""
        row_ids = sweeps.behind(session)
        self._sent = {row_id: self._sent[row_id] for row_id in row_ids if row_id in self._sent}
        return row_ids

    def describe(self, session: Session, row_id: str) -> Subject:
        return describe_sweep(session, sweeps.get(session, row_id), self._settings)

    def next_batch(self, session: Session, row_id: str) -> Batch | None:
        points = [
            MetricPoint(point.key, point.value, to_milliseconds(point.at), point.step)
            for point in sweeps.sweep_points(session, sweeps.get(session, row_id))
        ]
        sent = self._sent.get(row_id, [])
        unsent = [point for point in points if point not in sent]

        def mark(_: Session) -> None:
            self._sent[row_id] = points

        return Batch(unsent, mark) if unsent else None

    def results(self, subject: Subject) -> tuple[dict[str, str], Iterable[Artifact]]:
        if not subject.status.terminal:
            return subject.tags, ()
        with transaction(self._engine) as session:
            sweeps.show_best(session, sweeps.get(session, subject.row_id, lock=True))
        with reading(self._engine) as session:
            tags, artifacts = sweep_artifacts(session, subject.row_id)
        return subject.tags | tags, artifacts

    def record_run(self, session: Session, row_id: str, run_id: str) -> str:
        # A run that was forgotten and found again may have lost its points.
        self._sent.pop(row_id, None)
        return sweeps.record_sweep_run(session, row_id, run_id)

    def record_mirrored(self, session: Session, subject: Subject, run_id: str) -> bool:
        status = SweepStatus(subject.status)
        return sweeps.record_sweep_mirrored(session, subject.row_id, status, run_id)

    def row(self, session: Session, row_id: str) -> Sweep:
        return sweeps.get(session, row_id)

    def page(self, session: Session, cursor: str | None) -> tuple[Sequence[Sweep], str | None]:
        page = sweeps.list_sweeps(session, cursor=cursor, limit=_PAGE)
        return page.items, page.next
