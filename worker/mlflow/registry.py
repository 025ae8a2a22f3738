"""Mirror registered models, their versions and aliases to MLflow's model registry.

Each time, the registry is compared with the rows and only what differs is sent: so it does not
matter where an earlier attempt was interrupted, or what somebody changed in MLflow.
"""

import time
from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy import Engine

from core import jobs, models
from core.db import mirrored
from core.db.session import reading, transaction
from core.db.tables import Job, RegisteredModel
from core.errors import ChainruleError, InvalidError
from core.settings import Settings
from core.tracking import (
    JOB_TAG,
    MlflowServer,
    ModelRegistry,
    ShownModel,
    ShownVersion,
    accepts_files,
    find_model,
    is_alias,
)
from worker.mlflow.availability import Availability

log = structlog.get_logger()

VERSION_TAG = "chainrule.version"
"""The tag of a version in MLflow with the number that it has here."""

_LOCK_SECONDS = 60.0
_LOOK_SECONDS = 30.0
_WAIT_SECONDS = 1.0
_PAGE = 20


class ModelMirror:
    """Mirrors registered models. Without an MLflow URL it does nothing.

    A model is mirrored by one process at a time, which holds the lock of its row. The number of a
    version is the same in MLflow unless somebody created or deleted versions there; the version is
    recognised by the tag with the id of its job.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        url, token = settings.mlflow_url, settings.mlflow_token.get_secret_value()
        self._server = MlflowServer(url, token) if url else None
        self._availability = Availability(self._server) if self._server else None
        self._compared = 0  # the id of the last model that `reconcile` compared

    def close(self) -> None:
        """Close the connections."""
        if self._server is not None:
            self._server.close()

    def look(self) -> int:
        """Mirror the models that changed, for half a minute; how many are up to date now.

        Raises UnavailableError when the database does not answer.
        """
        with reading(self._engine) as session:
            model_ids = models.behind(session)
        return self._sync_all(model_ids)

    def reconcile(self) -> int:
        """Compare the next page of mirrored models with MLflow; how many agree with it now.

        Raises UnavailableError when the database does not answer.
        """
        with reading(self._engine) as session:
            model_ids = models.mirrored_models(session, after=self._compared, limit=_PAGE)
        self._compared = model_ids[-1] if len(model_ids) == _PAGE else 0
        return self._sync_all(model_ids)

    def sync(self, model_id: int) -> bool:
        """Mirror one model; True when MLflow shows all of it.

        A version waits for the run of its job, and later versions wait for it. After an error the
        model backs off. Raises UnavailableError when the database does not answer.
        """
        if self._server is None or self._availability is None or not self._availability.check():
            return False
        with transaction(self._engine) as session:
            if not mirrored.acquire_lock(session, RegisteredModel, model_id, _LOCK_SECONDS):
                return False
            state = models.model_state(session, model_id)
        try:
            complete = _Comparison(self._engine, self._server, state).apply()
        except ChainruleError as error:
            level = log.error if isinstance(error, InvalidError) else log.info
            level("not mirrored", kind="model", id=state.name, reason=error.detail)
            with transaction(self._engine) as session:
                mirrored.back_off(session, RegisteredModel, model_id)
            return False
        with transaction(self._engine) as session:
            if complete:
                models.record_mirrored(session, model_id, state.revision)
            rest = 0.0 if complete else _WAIT_SECONDS
            mirrored.release_lock(session, RegisteredModel, model_id, rest)
        return complete

    def _sync_all(self, model_ids: list[int]) -> int:
        stop_at = time.monotonic() + _LOOK_SECONDS
        return sum(self.sync(model_id) for model_id in model_ids if time.monotonic() < stop_at)


class _Comparison:
    """One registered model, here and in MLflow."""

    def __init__(self, engine: Engine, server: MlflowServer, state: models.ModelState) -> None:
        self._engine = engine
        self._server = server
        self._registry = ModelRegistry(server)
        self._state = state

    def apply(self) -> bool:
        """Correct what MLflow shows; False while a version waits for the run of its job."""
        state = self._state
        shown = self._registry.ensure(state.name)
        present = self._delete_others(shown)
        numbers: dict[int, str] = {}
        for version in state.versions:
            number = present.get(version.job_id) or self._create(version)
            if number is None:
                break
            numbers[version.version] = number
        self._move_aliases(shown, numbers)
        return len(numbers) == len(state.versions)

    def _delete_others(self, shown: ShownModel) -> dict[str, str]:
        """Delete versions that are outdated, doubled or gone; the numbers of the rest by job."""
        run_ids = {version.job_id: version.run_id for version in self._state.versions}
        with reading(self._engine) as session:
            ours = jobs.existing_jobs(session, [version.job_id for version in shown.versions])
        present: dict[str, str] = {}
        for version in shown.versions:
            # Versions of other jobs belong to another installation that uses the same MLflow.
            if version.job_id not in ours:
                continue
            if version.run_id == run_ids.get(version.job_id) and version.job_id not in present:
                present[version.job_id] = version.version
            elif run_ids.get(version.job_id, "") is not None:
                self._delete(version)
        return present

    def _delete(self, version: ShownVersion) -> None:
        name = self._state.name
        log.info("a version is deleted in MLflow", model=name, version=version.version)
        self._registry.delete_version(name, version.version)

    def _create(self, version: models.VersionState) -> str | None:
        """Create a version; its number in MLflow, None while its job has no finished run."""
        if version.run_id is None or not version.mirrored:
            if version.mirrored:
                with transaction(self._engine) as session:
                    jobs.show_run(session, version.job_id)
            return None
        info = self._server.get_run(version.run_id)["info"]
        logged = find_model(self._server, info["experiment_id"], version.run_id)
        if logged is None and self._lacks_files(version.run_id, info):
            with transaction(self._engine) as session:
                mirrored.remirror(session, Job, version.job_id)
            return None
        return self._registry.create_version(
            self._state.name,
            run_id=version.run_id,
            model_id=logged.model_id if logged else None,
            description=version.description,
            tags={
                JOB_TAG: version.job_id,
                VERSION_TAG: str(version.version),
                "mlflow.user": version.owner,
            },
        )

    def _lacks_files(self, run_id: str, info: Mapping[str, Any]) -> bool:
        """Whether the model's files can be sent to the run, which does not have them yet."""
        if info.get("lifecycle_stage") == "deleted" or not accepts_files(str(info["artifact_uri"])):
            return False
        return not self._server.artifacts(run_id, "model")

    def _move_aliases(self, shown: ShownModel, numbers: dict[int, str]) -> None:
        """Set, move and delete aliases; those at versions that are not ours stay."""
        name = self._state.name
        wanted = {
            alias: numbers[version]
            for alias, version in self._state.aliases.items()
            if is_alias(alias) and version in numbers
        }
        for alias, number in wanted.items():
            if shown.aliases.get(alias) != number:
                self._registry.set_alias(name, alias, number)
        for alias, number in shown.aliases.items():
            if alias not in self._state.aliases and number in numbers.values():
                self._registry.delete_alias(name, alias)
