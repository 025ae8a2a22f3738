"""MLflow's Models pages show the models that were trained and registered here."""

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core import jobs, models, sweeps
from core.data.storage.stores import Store
from core.db.session import reading, transaction
from core.db.tables import Job, RegisteredModel
from core.tracking import MlflowServer, ModelRegistry
from core.training.model import TrainedModel
from tests.support.isolated.process import scored
from tests.support.job_cases import do, pass_time
from tests.support.present import present
from tests.support.trackers import Tracker
from tests.support.worker_cases import Bench, until
from tests.worker.mlflow.test_mirror_kills import Killed, killed
from tests.worker.mlflow.test_rebuild import Mirrors, rebuild
from tests.worker.mlflow.test_sweeps import begun
from worker.mlflow.jobs import JobMirror
from worker.mlflow.registry import ModelMirror


@pytest.fixture
def site(tracker: Tracker, make_bench: Callable[..., Bench], database_url: str) -> Bench:
    return make_bench(database_url, mlflow_url=tracker.url)


@pytest.fixture
def mirror(site: Bench) -> Iterator[ModelMirror]:
    made = ModelMirror(site.engine, site.settings)
    yield made
    made.close()


@pytest.fixture
def name() -> str:
    """The name of a registered model that no other test uses."""
    return f"digits-{uuid.uuid4().hex[:8]}"


def trained(site: Bench, **fields: Any) -> str:
    """A finished job of which MLflow has everything."""
    given: dict[str, Any] = {"epochs": 1, "experiment": uuid.uuid4().hex}
    job_id = site.submit(**(given | fields))
    site.slot.work(job_id)
    until(lambda: site.job(job_id).mirrored_status == "finished")
    return job_id


def mirror_job(site: Bench, job_id: str) -> None:
    """Send all of a job to MLflow."""
    mirror = JobMirror(site.engine, site.store, site.settings)
    try:
        until(lambda: mirror.sync(job_id))
    finally:
        mirror.close()


def registered(site: Bench, name: str, *job_ids: str) -> int:
    """Register the models of jobs; the id of the registered model."""
    for job_id in job_ids:
        do(site.engine, models.register, name, job_id, owner="local", description="a try")
    with reading(site.engine) as session:
        return models.get_model(session, name).id


def versions(tracker: Tracker, name: str) -> dict[str, str]:
    """The job of each version in MLflow's registry, by its number."""
    answer = tracker.get("model-versions/search", filter=f"name = '{name}'")
    return {v["version"]: tags_of(v)["chainrule.job_id"] for v in answer.get("model_versions", [])}


def aliases(tracker: Tracker, name: str) -> dict[str, str]:
    """The version of each alias in MLflow's registry."""
    model = tracker.get("registered-models/get", name=name)["registered_model"]
    return {alias["alias"]: alias["version"] for alias in model.get("aliases", [])}


def logged_models(tracker: Tracker, site: Bench, job_id: str) -> list[dict[str, Any]]:
    """The logged models of the run of a job."""
    run_id = present(site.job(job_id).mlflow_run_id)
    experiment_id = tracker.run(run_id)["info"]["experiment_id"]
    with MlflowServer(tracker.url, timeout_seconds=60) as server:
        body = {"experiment_ids": [experiment_id], "filter": f"source_run_id = '{run_id}'"}
        found = server.request("POST", "logged-models/search", body).get("models", [])
    return [dict(model) for model in found]


def tags_of(document: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in document["tags"]}


def predicted(store: Store, job: Job, rows: list[dict[str, int]], folder: Path) -> list[Any]:
    """What Chainrule predicts for rows with the model of a job."""
    path = folder / "model.safetensors"
    store.get_file(present(job.result)["model_key"], path)
    return TrainedModel.load(path).predict(rows)


def test_a_finished_model_is_a_logged_model_with_params_and_metrics(
    site: Bench, tracker: Tracker
) -> None:
    job_id = trained(site, epochs=3, early_stopping={"patience": 3})
    (model,) = logged_models(tracker, site, job_id)
    job = site.job(job_id)
    assert model["info"]["status"] == "LOGGED_MODEL_READY"
    assert model["info"]["model_type"] == "neural network"
    assert tags_of(model["info"])["chainrule.job_id"] == job_id
    params = {param["key"]: param["value"] for param in model["data"]["params"]}
    assert params["optimizer.kind"] == job.spec["optimizer"]["kind"]
    shown = {metric["key"]: metric["value"] for metric in model["data"]["metrics"]}
    expected = present(job.result)["metrics"]
    assert shown == {key: expected[key] for key in shown}
    assert {"valid/loss", "test/loss"} <= set(shown)
    run = tracker.run(present(job.mlflow_run_id))
    (output,) = run["outputs"]["model_outputs"]
    assert output["model_id"] == model["info"]["model_id"]
    history = tracker.history(present(job.mlflow_run_id), "valid/loss")
    assert [step for step, *_ in history] == sorted({step for step, *_ in history})


@pytest.mark.timeout(600)
def test_mlflow_predicts_by_the_alias_what_we_predict(
    site: Bench, tracker: Tracker, mirror: ModelMirror, name: str, tmp_path: Path
) -> None:
    first, second = trained(site), trained(site, epochs=2)
    model_id = registered(site, name, first, second)
    do(site.engine, models.set_alias, name, "champion", 2, owner="local")
    assert mirror.sync(model_id)
    assert versions(tracker, name) == {"1": first, "2": second}
    rows = [{f"p{i // 8}{i % 8}": (7 * i + row) % 17 for i in range(64)} for row in range(3)]
    document = scored(f"models:/{name}@champion", rows, tmp_path, MLFLOW_TRACKING_URI=tracker.url)
    ours = predicted(site.store, site.job(second), rows, tmp_path)
    assert [str(label) for label in document["answers"]["prediction"]] == [str(x) for x in ours]
    assert "p00" in document["inputs"]
    assert "prediction" in document["example"]


def test_moves_of_aliases_follow(
    site: Bench, tracker: Tracker, mirror: ModelMirror, name: str
) -> None:
    model_id = registered(site, name, trained(site), trained(site))
    for alias, version in (("champion", 1), ("old", 1), ("v1", 1), ("a.b", 1)):
        do(site.engine, models.set_alias, name, alias, version, owner="local")
    assert mirror.look() == 1
    assert aliases(tracker, name) == {"champion": "1", "old": "1"}
    do(site.engine, models.set_alias, name, "champion", 2, owner="local")
    do(site.engine, models.remove_alias, name, "old", owner="local")
    assert mirror.look() == 1
    assert aliases(tracker, name) == {"champion": "2"}
    do(site.engine, models.roll_back, name, "champion", owner="local")
    assert mirror.look() == 1
    assert aliases(tracker, name) == {"champion": "1"}
    assert mirror.look() == 0
    with reading(site.engine) as session:
        model = session.get_one(RegisteredModel, model_id)
        assert model.mirrored_revision == model.revision


def test_what_somebody_changes_in_mlflow_is_corrected(
    site: Bench, tracker: Tracker, mirror: ModelMirror, name: str
) -> None:
    first, second = trained(site), trained(site)
    registered(site, name, first, second)
    do(site.engine, models.set_alias, name, "champion", 1, owner="local")
    assert mirror.look() == 1
    with MlflowServer(tracker.url, timeout_seconds=60) as server:
        registry = ModelRegistry(server)
        registry.delete_version(name, "1")
        registry.set_alias(name, "theirs", "2")
        body = {"name": name, "source": "s3://bucket/theirs", "tags": []}
        server.request("POST", "model-versions/create", body)
        registry.set_alias(name, "foreign", "3")
    assert mirror.reconcile() == 1
    assert versions_with_ours(tracker, name) == {"2": second, "3": None, "4": first}
    assert aliases(tracker, name) == {"champion": "4", "foreign": "3"}
    assert mirror.reconcile() == 1
    assert versions_with_ours(tracker, name) == {"2": second, "3": None, "4": first}


def versions_with_ours(tracker: Tracker, name: str) -> dict[str, str | None]:
    """The job of each version in MLflow's registry, None for those of others."""
    answer = tracker.get("model-versions/search", filter=f"name = '{name}'")
    return {
        v["version"]: tags_of(v).get("chainrule.job_id") if v.get("tags") else None
        for v in answer["model_versions"]
    }


def test_a_version_waits_for_the_run_of_its_job(
    site: Bench, tracker: Tracker, mirror: ModelMirror, name: str
) -> None:
    job_id = trained(site)
    with transaction(site.engine) as session:
        jobs.forget_run(session, job_id)
    model_id = registered(site, name, job_id)
    assert not mirror.sync(model_id)
    assert versions(tracker, name) == {}
    mirror_job(site, job_id)
    pass_time(site.engine, 60)
    assert mirror.sync(model_id)
    assert versions(tracker, name) == {"1": job_id}


def test_a_registered_trial_gets_the_run_that_its_sweep_did_not_give_it(
    site: Bench, tracker: Tracker, mirror: ModelMirror, name: str
) -> None:
    sweep_id = begun(site, n_trials=1, mlflow="none")
    sweeps.advance(site.engine, sweep_id)
    with reading(site.engine) as session:
        (job_id,) = session.query(Job.id).one()
    site.slot.work(job_id)
    sweeps.advance(site.engine, sweep_id)
    mirrors = Mirrors(site)
    try:
        mirrors.catch_up()
        assert site.job(job_id).mlflow_run_id is None
        model_id = registered(site, name, job_id)
        assert not mirror.sync(model_id)
        pass_time(site.engine, 60)
        mirrors.catch_up()
    finally:
        mirrors.close()
    pass_time(site.engine, 60)
    assert mirror.sync(model_id)
    assert versions(tracker, name) == {"1": job_id}
    assert len(logged_models(tracker, site, job_id)) == 1


PLACES = {
    "before the model is created": ("ensure", False),
    "after the model is created": ("ensure", True),
    "before a version is created": ("create_version", False),
    "after a version is created": ("create_version", True),
    "after an alias is set": ("set_alias", True),
}


@pytest.mark.parametrize("place", PLACES)
def test_wherever_the_mirror_is_killed_the_next_one_completes_the_registry(
    site: Bench, tracker: Tracker, name: str, place: str
) -> None:
    job_id = trained(site)
    model_id = registered(site, name, job_id)
    do(site.engine, models.set_alias, name, "champion", 1, owner="local")
    method, after = PLACES[place]
    for _ in range(2):
        mirror = ModelMirror(site.engine, site.settings)
        with pytest.MonkeyPatch.context() as patched:
            killed(patched, ModelRegistry, method, after=after)
            try:
                mirror.sync(model_id)
            except Killed:
                pass
            finally:
                mirror.close()
        pass_time(site.engine, 100)
    mirror = ModelMirror(site.engine, site.settings)
    try:
        assert mirror.sync(model_id)
    finally:
        mirror.close()
    assert versions(tracker, name) == {"1": job_id}
    assert aliases(tracker, name) == {"champion": "1"}


def test_a_killed_upload_leaves_one_logged_model(site: Bench, tracker: Tracker) -> None:
    job_id = trained(site)
    mirrors = Mirrors(site)
    try:
        for method, after in (("update_run", False), ("log_model_points", True)):
            with transaction(site.engine) as session:
                jobs.forget_runs(session, limit=1)
            with pytest.MonkeyPatch.context() as patched:
                killed(patched, MlflowServer, method, after=after)
                with pytest.raises(Killed):
                    mirrors.jobs.sync(job_id)
            pass_time(site.engine, 60)
        until(lambda: mirrors.jobs.sync(job_id))
    finally:
        mirrors.close()
    (model,) = logged_models(tracker, site, job_id)
    assert model["info"]["status"] == "LOGGED_MODEL_READY"
    run = tracker.run(present(site.job(job_id).mlflow_run_id))
    assert len(run["outputs"]["model_outputs"]) == 1
    keys = [metric["key"] for metric in model["data"]["metrics"]]
    assert len(keys) == len(set(keys))


def test_a_lost_registry_is_rebuilt(
    site: Bench, tracker: Tracker, mirror: ModelMirror, name: str
) -> None:
    job_id = trained(site)
    registered(site, name, job_id)
    assert mirror.look() == 1
    with closing(sqlite3.connect(tracker.folder / "mlflow.sqlite", timeout=30)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        with connection:
            for table in ("model_version_tags", "model_versions", "registered_models"):
                connection.execute(f"DELETE FROM {table} WHERE name = ?", (name,))
    rebuild(site)
    mirror_job(site, job_id)
    pass_time(site.engine, 60)
    assert mirror.look() == 1
    assert versions(tracker, name) == {"1": job_id}


def test_a_server_that_is_away_costs_no_failure(
    make_bench: Callable[..., Bench], database_url: str, name: str
) -> None:
    site = make_bench(database_url, mlflow_url="http://127.0.0.1:9")
    job_id = site.submit(epochs=1)
    site.slot.work(job_id)
    model_id = registered(site, name, job_id)
    mirror = ModelMirror(site.engine, site.settings)
    try:
        assert mirror.look() == 0
    finally:
        mirror.close()
    with reading(site.engine) as session:
        assert session.get_one(RegisteredModel, model_id).mirror_failures == 0
