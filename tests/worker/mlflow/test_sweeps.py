"""Each sweep has a run in MLflow, the parent of its trials, with its status."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core import sweeps
from core.db.session import reading, transaction
from core.db.tables import Job, Sweep
from core.db.types import to_milliseconds
from core.spec.job import DIGITS
from core.spec.sweep import SweepSpec
from core.tracking import MlflowServer
from tests.support.job_cases import do
from tests.support.present import present
from tests.support.trackers import Tracker
from tests.support.worker_cases import Bench, until
from worker.mlflow.reconcile import Reconciler
from worker.mlflow.sweeps import SweepMirror
from worker.mlflow.trials import TrialMirror

RATE = "optimizer.learning_rate"


@pytest.fixture
def site(
    tracker: Tracker, make_bench: Callable[..., Bench], request: pytest.FixtureRequest
) -> Bench:
    """A bench that mirrors to a real MLflow; its database is SQLite unless a test names another."""
    url = request.getfixturevalue(getattr(request, "param", "sqlite_url"))
    return make_bench(url, mlflow_url=tracker.url, public_url="https://chainrule.example")


@pytest.fixture
def mirror(site: Bench) -> Iterator[SweepMirror]:
    mirror = SweepMirror(site.engine, site.settings)
    yield mirror
    mirror.close()


def begun(bench: Bench, **changes: Any) -> str:
    """The id of a sweep of three trials that has an experiment of its own."""
    job = {**DIGITS, "epochs": 1, "experiment": uuid.uuid4().hex, "tags": {"team": "b"}}
    given = {
        "name": "rates",
        "job": job,
        "search_space": {
            RATE: {"kind": "float", "low": 0.001, "high": 0.01, "log": True},
            "network[0].units": {"kind": "categorical", "choices": [16, 24]},
        },
        "objective": {"metric": "valid/accuracy", "direction": "maximize"},
        "sampler": {"kind": "random", "seed": 1},
        "n_trials": 3,
    }
    spec = SweepSpec.model_validate(given | changes)
    with transaction(bench.engine) as session:
        version = session.merge(bench.version)
        return sweeps.start(session, spec, version, owner="ada", max_weights_bytes=2**30).id


def trained(bench: Bench, sweep_id: str) -> list[Job]:
    """The jobs of its trials, after all have ended."""
    sweeps.advance(bench.engine, sweep_id)
    for job in jobs_of(bench, sweep_id):
        bench.slot.work(job.id)
    sweeps.advance(bench.engine, sweep_id)
    return jobs_of(bench, sweep_id)


def jobs_of(bench: Bench, sweep_id: str) -> list[Job]:
    with reading(bench.engine) as session:
        return [job for _, job in sweeps.trials(session, sweep_id) if job is not None]


def row(bench: Bench, sweep_id: str) -> Sweep:
    return do(bench.engine, sweeps.get, sweep_id)


def rested(bench: Bench) -> None:
    """End the rests of all sweeps."""
    with transaction(bench.engine) as session:
        session.query(Sweep).update({"mirror_not_before": row_moment(session)})


def row_moment(session: Any) -> Any:
    return session.query(Sweep.created_at).order_by(Sweep.created_at).first()[0]


def mirrored(bench: Bench, mirror: SweepMirror, sweep_id: str) -> dict[str, Any]:
    """The run of a sweep, once it and the runs of its trials are up to date."""
    trials = TrialMirror(bench.engine, bench.store, bench.settings)

    def up_to_date() -> bool:
        rested(bench)
        mirror.look()
        trials.sync_all([job.id for job in jobs_of(bench, sweep_id)])
        ended = [job.mirrored_status == job.status.value for job in jobs_of(bench, sweep_id)]
        sweep = row(bench, sweep_id)
        return all(ended) and sweep.mirrored_status == sweep.status.value

    try:
        until(up_to_date, seconds=180)
        return tracked(bench, row(bench, sweep_id).mlflow_run_id)
    finally:
        trials.close()


def tracked(bench: Bench, run_id: str | None) -> dict[str, Any]:
    with MlflowServer(bench.settings.mlflow_url, timeout_seconds=60) as server:
        return server.get_run(present(run_id))


def shown(tracker: Tracker, bench: Bench, job_id: str, key: str) -> list[tuple[int, float]]:
    history = tracker.history(present(bench.job(job_id).mlflow_run_id), key)
    return [(step, value) for step, value, _ in history]


def tags(run: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


def test_a_sweep_is_the_parent_of_its_trials(
    site: Bench, mirror: SweepMirror, tracker: Tracker
) -> None:
    sweep_id = begun(site)

    def there() -> str | None:
        rested(site)
        mirror.look()
        return row(site, sweep_id).mlflow_run_id

    until(there, seconds=120)
    assert tracked(site, row(site, sweep_id).mlflow_run_id)["info"]["status"] == "RUNNING"
    trained(site, sweep_id)
    run = mirrored(site, mirror, sweep_id)
    assert run["info"]["status"] == "FINISHED"
    assert run["info"]["run_name"] == "rates"
    params = {param["key"]: param["value"] for param in run["data"]["params"]}
    assert params["sampler.kind"] == "random"
    assert params[f"search_space.{RATE}.low"] == "0.001"
    assert params["search_space.network.0.units.choices"] == "[16, 24]"
    assert params["job.epochs"] == "1"
    with reading(site.engine) as session:
        (best,) = sweeps.best(session, session.get_one(Sweep, sweep_id))
    metrics = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
    assert metrics == {
        "best/valid/accuracy": present(best.objectives)[0],
        "best/trial": float(best.number),
        "trials/finished": 3.0,
    }
    run_tags = tags(run)
    assert (run_tags["chainrule.best_job"], run_tags["team"]) == (best.job_id, "b")
    assert "mlflow.parentRunId" not in run_tags
    with MlflowServer(tracker.url, timeout_seconds=60) as server:
        files = server.artifacts(run["info"]["run_id"])
    assert set(files) == {"sweep.json", "best.json", "trials.csv", "plots.svg"}
    assert files["plots.svg"] < 100_000
    for job in jobs_of(site, sweep_id):
        nested = tags(tracked(site, job.mlflow_run_id))
        assert nested["mlflow.parentRunId"] == run["info"]["run_id"]


def test_a_trial_has_one_run_with_all_of_it(
    site: Bench, mirror: SweepMirror, tracker: Tracker
) -> None:
    sweep_id = begun(site, n_trials=1)
    (job,) = trained(site, sweep_id)
    mirrored(site, mirror, sweep_id)
    job = site.job(job.id)
    run = tracked(site, job.mlflow_run_id)
    assert run["info"]["status"] == "FINISHED"
    assert run["info"]["end_time"] == to_milliseconds(present(job.finished_at))
    params = {param["key"]: param["value"] for param in run["data"]["params"]}
    assert params["optimizer.learning_rate"] == str(job.spec["optimizer"]["learning_rate"])
    assert run["inputs"]["dataset_inputs"][0]["dataset"]["name"] == "digits@1"
    assert tags(run)["chainrule.weights_digest"] == present(job.result)["weights_digest"]
    assert shown(tracker, site, job.id, "valid/loss") == site.history(job.id)["valid/loss"]
    with MlflowServer(tracker.url, timeout_seconds=60) as server:
        files = server.artifacts(present(job.mlflow_run_id))
        assert {"spec.json", "curves.svg", "model"} <= set(files)
        # A mirror was interrupted before it recorded the run.
        with transaction(site.engine) as session:
            row = session.get_one(Job, job.id)
            row.mlflow_run_id, row.mirrored_status = None, "begun"
        mirrored(site, mirror, sweep_id)
        mark = f"tags.`chainrule.job_id` = '{job.id}'"
        (only,) = server.find_runs([run["info"]["experiment_id"]], mark)
    assert only["info"]["run_id"] == site.job(job.id).mlflow_run_id == job.mlflow_run_id


def test_a_wiped_mlflow_is_filled_again(site: Bench, mirror: SweepMirror, tracker: Tracker) -> None:
    sweep_id = begun(site, n_trials=1)
    (job,) = trained(site, sweep_id)
    before = mirrored(site, mirror, sweep_id)["info"]["run_id"]
    with MlflowServer(tracker.url, timeout_seconds=60) as server:
        reconciler = Reconciler(site.engine, mirror)
        assert reconciler.look() == 0
        server.update_run(before, "RUNNING")
        assert reconciler.look() == 1
        assert mirrored(site, mirror, sweep_id)["info"]["status"] == "FINISHED"
        server.delete_run(before)
        assert reconciler.look() == 0
        with transaction(site.engine) as session:
            session.get_one(Sweep, sweep_id).mlflow_run_id = uuid.uuid4().hex
        assert reconciler.look() == 1
    after = mirrored(site, mirror, sweep_id)["info"]["run_id"]
    assert after != before
    nested = tags(tracked(site, site.job(job.id).mlflow_run_id))
    assert nested["mlflow.parentRunId"] == after


@pytest.mark.parametrize("site", ["postgres_url"], indirect=True)
def test_only_the_best_have_runs_where_that_is_wanted(
    site: Bench, mirror: SweepMirror, tracker: Tracker
) -> None:
    sweep_id = begun(site, mlflow="best:1")
    jobs = trained(site, sweep_id)
    assert all(job.mlflow_run_id is None for job in jobs)
    mirrored(site, mirror, sweep_id)
    with reading(site.engine) as session:
        (best,) = sweeps.best(session, session.get_one(Sweep, sweep_id))
    assert [job.id for job in jobs_of(site, sweep_id) if job.mlflow_run_id] == [best.job_id]
    points = shown(tracker, site, present(best.job_id), "valid/loss")
    assert points == site.history(present(best.job_id))["valid/loss"]


def test_a_cancelled_sweep_is_shown_as_killed_once_its_trials_have_ended(
    site: Bench, mirror: SweepMirror
) -> None:
    sweep_id = begun(site, mlflow="none")
    sweeps.advance(site.engine, sweep_id)
    do(site.engine, sweeps.cancel, sweep_id)
    mirror.look()
    assert row(site, sweep_id).mirrored_status != "cancelled"
    sweeps.advance(site.engine, sweep_id)
    run = mirrored(site, mirror, sweep_id)
    assert run["info"]["status"] == "KILLED"
    assert {metric["key"]: metric["value"] for metric in run["data"]["metrics"]} == {
        "trials/cancelled": 3.0
    }


def test_a_sweep_does_not_need_mlflow(make_bench: Callable[..., Bench], sqlite_url: str) -> None:
    bench = make_bench(sqlite_url, mlflow_url="http://127.0.0.1:1")
    sweep_id = begun(bench, n_trials=1)
    mirror = SweepMirror(bench.engine, bench.settings)
    try:
        assert mirror.look() == 0
        assert not mirror.sync(sweep_id)
    finally:
        mirror.close()
    trained(bench, sweep_id)
    assert (row(bench, sweep_id).status, row(bench, sweep_id).mlflow_run_id) == ("finished", None)
