"""Compare runs in MLflow with the rows of the database, and mirror again what differs.

A mirror sends every change once. Reconciliation finds what was undone afterwards: a wiped or
restored MLflow, runs that somebody ended by hand, a second run created in a race.
"""

from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import Engine

from core import jobs
from core.db.mirrored import remirror
from core.db.session import reading, transaction
from core.db.tables import Job, Sweep
from core.errors import NotFoundError
from core.tracking import MlflowServer, mlflow_status
from worker.mlflow.mirror import Mirror

log = structlog.get_logger()

_OPEN = ("RUNNING", "SCHEDULED")
_MAX_OPEN_RUNS = 1000


class Reconciler:
    """Compares all open runs of one mirror's kind, and its rows page by page."""

    def __init__(self, engine: Engine, mirror: Mirror[Any]) -> None:
        """Raises ValueError for a mirror without an MLflow URL."""
        if mirror.server is None:
            raise ValueError("there is no MLflow to compare with")
        self._engine = engine
        self._mirror = mirror
        self._server: MlflowServer = mirror.server
        self._cursor: str | None = None

    def look(self) -> int:
        """Compare; the number of differences. Their rows are mirrored again from now on.

        Raises UnavailableError when MLflow or the database does not answer.
        """
        return self._check_open_runs() + self._check_page()

    def _check_open_runs(self) -> int:
        """Find runs that are open although their rows ended, and second runs."""
        differences = 0
        for status in _OPEN:
            for run in self._search(f"attributes.status = '{status}'", _MAX_OPEN_RUNS):
                tags = {tag["key"]: tag["value"] for tag in run["data"].get("tags", [])}
                if self._mirror.tag in tags:
                    row_id = tags[self._mirror.tag]
                    differences += self._check_open_run(row_id, run["info"]["run_id"])
        return differences

    def _check_open_run(self, row_id: str, run_id: str) -> bool:
        kind = self._mirror.kind
        try:
            with reading(self._engine) as session:
                row = self._mirror.row(session, row_id)
        except NotFoundError:
            # It belongs to another installation that uses the same MLflow.
            return False
        if row.mlflow_run_id not in (None, run_id):
            log.warning("a second run is deleted", kind=kind, id=row_id, run=run_id)
            self._server.delete_run(run_id)
            return True
        if not row.status.terminal or row.mirrored_status != row.status.value:
            return False
        log.warning("the run of an ended row is open", kind=kind, id=row_id, run=run_id)
        self._remirror(row_id)
        return True

    def _check_page(self) -> int:
        """Find rows of the next page whose runs are gone or have another status."""
        with reading(self._engine) as session:
            rows, self._cursor = self._mirror.page(session, self._cursor)
        rows = [row for row in rows if _up_to_date(row)]
        shown = self._statuses(rows)
        return sum(self._check_row(row, shown[str(row.mlflow_run_id)]) for row in rows)

    def _check_row(self, row: Job | Sweep, shown: str | None) -> bool:
        if shown == mlflow_status(row.status):
            return False
        if shown is None:
            log.warning("MLflow lost a run", kind=self._mirror.kind, id=row.id)
            with transaction(self._engine) as session:
                self._mirror.forget_run(session, row.id)
        else:
            log.warning("a run has another status", kind=self._mirror.kind, id=row.id, shown=shown)
            self._remirror(row.id)
        return True

    def _statuses(self, rows: Sequence[Job | Sweep]) -> dict[str, str | None]:
        """The status of each row's run, None if MLflow lost it.

        A run that somebody deleted counts as correct: it has the status that its row wants.
        """
        wanted = {str(row.mlflow_run_id): mlflow_status(row.status) for row in rows}
        if not wanted:
            return {}
        run_ids = ", ".join(f"'{run_id}'" for run_id in wanted)
        matches = self._search(f"attributes.run_id IN ({run_ids})", len(wanted), deleted_too=True)
        infos = {run["info"]["run_id"]: run["info"] for run in matches}
        shown: dict[str, str | None] = {}
        for run_id, status in wanted.items():
            # The search covers only the experiments that are recorded.
            info = infos.get(run_id) or self._info(run_id)
            if info is None:
                shown[run_id] = None
            else:
                deleted = info.get("lifecycle_stage") == "deleted"
                shown[run_id] = status if deleted else str(info["status"])
        return shown

    def _search(
        self, filter_string: str, most: int, *, deleted_too: bool = False
    ) -> list[dict[str, Any]]:
        with reading(self._engine) as session:
            experiment_ids = jobs.mirrored_experiments(session)
        if not experiment_ids:
            return []
        return self._server.find_runs(
            experiment_ids, filter_string, most=most, deleted_too=deleted_too
        )

    def _info(self, run_id: str) -> dict[str, Any] | None:
        try:
            info: dict[str, Any] = self._server.get_run(run_id)["info"]
        except NotFoundError:
            return None
        return info

    def _remirror(self, row_id: str) -> None:
        with transaction(self._engine) as session:
            remirror(session, self._mirror.table, row_id)


def _up_to_date(row: Job | Sweep) -> bool:
    return row.mlflow_run_id is not None and row.mirrored_status == row.status.value
