"""Delete in MLflow the runs of jobs and sweeps that were deleted."""

import structlog
from sqlalchemy import Engine

from core import jobs
from core.db.session import reading, transaction
from core.errors import ChainruleError
from core.tracking import delete_runs
from worker.mlflow.jobs import JobMirror

log = structlog.get_logger()


class RunDeletion:
    """Deletes runs whose jobs and sweeps exist no longer. MLflow keeps them as deleted."""

    def __init__(self, engine: Engine, mirror: JobMirror) -> None:
        self._engine = engine
        self._mirror = mirror

    def look(self) -> int:
        """Delete the runs that are due; how many rows are done.

        Raises UnavailableError when the database does not answer.
        """
        with reading(self._engine) as session:
            rows = jobs.deletable_runs(session)
            experiment_ids = jobs.mirrored_experiments(session) if rows else []
        server = self._mirror.server
        if server is None or not rows or not self._mirror.available():
            return 0
        for row in rows:
            try:
                count = delete_runs(server, experiment_ids, row.tag, row.id, row.run_id)
            except ChainruleError as error:
                log.info("a run stays in MLflow for now", id=row.id, reason=error.detail)
                return 0
            with transaction(self._engine) as session:
                jobs.forget_deleted_run(session, row.id)
            log.info("runs were deleted in MLflow", id=row.id, runs=count)
        return len(rows)
