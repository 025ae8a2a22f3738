"""The policy that deletes the runs of old jobs from MLflow."""

from collections.abc import Iterator
from contextlib import suppress

from sqlalchemy import ColumnElement, and_, exists, func, select, update

from core.db.session import reading, transaction
from core.db.tables import Job, ModelVersion
from core.errors import NotFoundError
from core.retention.policy import Freed, RetentionPolicy, Storage
from core.tracking import MlflowServer

BATCH_RUNS = 20


class RunPolicy(RetentionPolicy):
    """Deletes runs, and their files, of jobs that ended before the cutoff.

    The job then names no run, so that nothing creates one again. Runs of registered models stay,
    because versions of models in MLflow name them.
    """

    pass_seconds = 86_400.0

    def __init__(self, days: float, server: MlflowServer) -> None:
        super().__init__("mlflow", days)
        self._server = server

    def overdue(self, storage: Storage) -> Freed:
        counting = select(func.count()).select_from(Job).where(self._condition())
        with reading(storage.engine) as session:
            return Freed(rows=session.scalar(counting) or 0)

    def apply(self, storage: Storage) -> Iterator[Freed]:
        old = select(Job.id, Job.mlflow_run_id).where(self._condition()).order_by(Job.finished_at)
        while True:
            with reading(storage.engine) as session:
                runs = session.execute(old.limit(BATCH_RUNS)).all()
            for job_id, run_id in runs:
                self._delete(str(run_id))
                with transaction(storage.engine) as session:
                    session.execute(
                        update(Job)
                        .where(Job.id == job_id, Job.mlflow_run_id == run_id)
                        .values(mlflow_run_id=None)
                        .execution_options(synchronize_session=False)
                    )
            if runs:
                yield Freed(rows=len(runs))
            if len(runs) < BATCH_RUNS:
                return

    def _condition(self) -> ColumnElement[bool]:
        return and_(
            Job.finished_at <= self.cutoff,
            Job.mlflow_run_id.is_not(None),
            Job.mirrored_status == Job.status,
            ~exists().where(ModelVersion.job_id == Job.id),
        )

    def _delete(self, run_id: str) -> None:
        """Delete a run, which may be deleted or gone already."""
        with suppress(NotFoundError):
            info = self._server.get_run(run_id)["info"]
            self._server.delete_artifacts(info["artifact_uri"])
            if info.get("lifecycle_stage") != "deleted":
                self._server.delete_run(run_id)
