"""Compare what MLflow shows with the rows, and have whatever differs mirrored anew.

The mirror tells MLflow every change; this finds what was undone afterwards: a wiped or restored
MLflow, runs that somebody ended by hand, a second run made in a race.
"""

import structlog
from sqlalchemy import Engine, select, update

from core import jobs
from core.db.session import reading, transaction
from core.db.tables import Experiment, Job
from core.errors import NotFoundError
from core.status import TERMINAL
from core.tracking import JOB_TAG, MlflowServer, mlflow_status

log = structlog.get_logger()

_PAGE = 100
_OPEN = ("RUNNING", "SCHEDULED")


class Reconciler:
    """Looks at all open runs, and at a page of ended jobs in turn."""

    def __init__(self, engine: Engine, server: MlflowServer) -> None:
        self._engine = engine
        self._server = server
        self._cursor: str | None = None

    def look(self) -> int:
        """How many differences were found; their jobs are mirrored anew from now on.

        Raises UnavailableError when MLflow or the database does not answer.
        """
        return self._check_open_runs() + self._check_ended_jobs()

    def _check_open_runs(self) -> int:
        """Runs that MLflow shows as open although their jobs ended."""
        with reading(self._engine) as session:
            known = select(Experiment.mlflow_experiment_id).where(
                Experiment.mlflow_experiment_id.is_not(None)
            )
            experiment_ids = [str(one) for one in session.scalars(known)]
        if not experiment_ids:
            return 0
        found = 0
        for status in _OPEN:
            for run in self._server.find_runs(
                experiment_ids, f"attributes.status = '{status}'", most=1000
            ):
                tags = {tag["key"]: tag["value"] for tag in run["data"].get("tags", [])}
                if JOB_TAG in tags:
                    found += self._check_open_run(tags[JOB_TAG], run["info"]["run_id"])
        return found

    def _check_open_run(self, job_id: str, run_id: str) -> bool:
        with reading(self._engine) as session:
            try:
                job = jobs.get(session, job_id)
            except NotFoundError:
                # Somebody else's: several installations may share an MLflow.
                return False
        if job.mlflow_run_id not in (None, run_id):
            log.warning("a second run of a job is deleted", job=job_id, run=run_id)
            self._server.delete_run(run_id)
            return True
        if job.status not in TERMINAL or job.mirrored_status != job.status.value:
            return False
        log.warning("MLflow shows an ended job as open", job=job_id, run=run_id)
        self._tell_again(job_id)
        return True

    def _check_ended_jobs(self) -> int:
        """Jobs whose runs are gone, or show another end."""
        with reading(self._engine) as session:
            page = jobs.list_jobs(session, status=tuple(TERMINAL), cursor=self._cursor, limit=_PAGE)
            ended = [job for job in page.items if _fully_mirrored(job)]
        self._cursor = page.next
        if not ended:
            return 0
        shown = self._statuses(ended)
        found = 0
        for job in ended:
            status = shown.get(str(job.mlflow_run_id))
            if status == mlflow_status(job.status):
                continue
            found += 1
            if status is None:
                log.warning("MLflow lost the run of an ended job", job=job.id)
                with transaction(self._engine) as session:
                    jobs.forget_run(session, job.id)
            else:
                log.warning("MLflow shows another end", job=job.id, shown=status)
                self._tell_again(job.id)
        return found

    def _statuses(self, ended: list[Job]) -> dict[str, str]:
        """What MLflow shows of the runs of these jobs; those somebody deleted count as right."""
        experiment_ids = {str(job.experiment.mlflow_experiment_id) for job in ended}
        run_ids = ", ".join(f"'{job.mlflow_run_id}'" for job in ended)
        runs = self._server.find_runs(
            sorted(experiment_ids),
            f"attributes.run_id IN ({run_ids})",
            most=_PAGE,
            deleted_too=True,
        )
        by_run = {str(job.mlflow_run_id): mlflow_status(job.status) for job in ended}
        return {
            run["info"]["run_id"]: by_run[run["info"]["run_id"]]
            if run["info"].get("lifecycle_stage") == "deleted"
            else run["info"]["status"]
            for run in runs
        }

    def _tell_again(self, job_id: str) -> None:
        with transaction(self._engine) as session:
            session.execute(update(Job).where(Job.id == job_id).values(mirrored_status=None))


def _fully_mirrored(job: Job) -> bool:
    return job.mlflow_run_id is not None and job.mirrored_status == job.status.value
