"""Defaults of new jobs that depend on the rest of the job; older jobs are shown as they were."""

import copy
import io
import zipfile
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

from chainrule.contract.status import JobStatus
from core import jobs, sweeps
from core.datasets import resolve
from core.db import tables
from core.db.session import reading, transaction
from core.jobs import eligibility
from core.spec import JobSpec
from tests.support import single
from tests.support.api_cases import SPEC, Http

NUMBERS: dict[str, Any] = {
    "data": {"target": "p1", "features": ["p0"]},
    "network": [{"kind": "dense", "units": 1}],
    "loss": {"kind": "mean_squared_error"},
    "metrics": [{"kind": "r2"}],
}


def submitted_before(http: Http) -> dict[str, Any]:
    """A job as an earlier release stored it: without the field, which it did not know."""
    with transaction(http.app.state.context.engine) as session:
        spec = JobSpec.model_validate({**SPEC, **NUMBERS})
        job_id = jobs.submit(session, spec, resolve(session, "pets"), owner="local").id
    assert "standardize_target" not in stored(http, job_id)[0]["data"]
    job: dict[str, Any] = http.get(f"/v1/jobs/{job_id}").json()
    return job


def stored(http: Http, job_id: str) -> tuple[dict[str, Any], int]:
    with reading(http.app.state.context.engine) as session:
        job = jobs.get(session, job_id)
        return job.spec, job.spec_version


def test_a_new_regression_standardizes_its_target(everywhere: Http) -> None:
    job = everywhere.submitted(**NUMBERS)
    assert (job["spec"]["data"]["standardize_target"], job["spec_version"]) == (True, 2)
    off = everywhere.submitted(
        **{**NUMBERS, "data": {**NUMBERS["data"], "standardize_target": False}}
    )
    assert (off["spec"]["data"]["standardize_target"], off["spec_version"]) == (False, 1)
    classes = everywhere.submitted()
    assert (classes["spec"]["data"]["standardize_target"], classes["spec_version"]) == (False, 1)


def test_a_worker_of_the_release_before_does_not_claim_it(
    everywhere: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = everywhere.submitted(**NUMBERS)["id"]
    old = submitted_before(everywhere)["id"]
    monkeypatch.setattr(eligibility, "SPEC_VERSION", 1)
    with transaction(everywhere.app.state.context.engine) as session:
        assert jobs.claim(session, new, node="n", worker="w", lease_seconds=30) is None
        assert jobs.claim(session, old, node="n", worker="w", lease_seconds=30) is not None


def test_an_older_job_can_be_retried_and_reproduced_as_it_was(everywhere: Http) -> None:
    old = submitted_before(everywhere)
    assert old["spec"]["data"]["standardize_target"] is False
    again = everywhere.post("/v1/jobs", {**old["spec"], "dataset": old["dataset"]}).json()
    assert stored(everywhere, again["id"]) == stored(everywhere, old["id"])
    everywhere.post(f"/v1/jobs/{old['id']}/cancel")
    retried = everywhere.post(f"/v1/jobs/{old['id']}/retry").json()
    assert retried["spec"] == old["spec"]
    assert stored(everywhere, retried["id"]) == stored(everywhere, old["id"])


def test_a_request_has_the_digest_that_earlier_releases_gave_it(everywhere: Http) -> None:
    """A client may repeat a request with its key after an upgrade."""
    job = everywhere.post("/v1/jobs", SPEC, headers={"Idempotency-Key": "k-1"}).json()
    with reading(everywhere.app.state.context.engine) as session:
        (digest,) = session.scalars(select(tables.IdempotencyKey.request_hash))
    document = copy.deepcopy(job["spec"])
    del document["calibrate"], document["data"]["standardize_target"]
    document["data"]["split"].pop("order_by")
    assert digest == jobs.spec_hash(document)


@pytest.mark.parametrize("fields", [{}, {"standardize_target": False}])
def test_all_trials_of_a_sweep_do_as_its_job_says(http: Http, fields: dict[str, Any]) -> None:
    data = {**NUMBERS["data"], **fields}
    sweep = http.post(
        "/v1/sweeps",
        {
            "name": "numbers",
            "job": {**SPEC, **NUMBERS, "data": data},
            "search_space": {"seed": {"kind": "int", "low": 1, "high": 9}},
            "objective": {"metric": "valid/r2", "direction": "maximize"},
            "n_trials": 2,
        },
    ).json()
    expected = not fields
    assert sweep["spec"]["job"]["data"]["standardize_target"] is expected
    engine = http.app.state.context.engine
    sweeps.advance(engine, sweep["id"])
    for trial in http.get(f"/v1/sweeps/{sweep['id']}/trials").json()["items"]:
        job = http.get(f"/v1/jobs/{trial['job_id']}").json()
        assert job["spec"]["data"]["standardize_target"] is expected
        assert job["spec_version"] == (2 if expected else 1)
        claim = http.claimed(job["id"])
        result = {"metrics": {"valid/r2": 0.5}}
        with transaction(engine) as session:
            single.finish(session, claim.job_id, 1, JobStatus.FINISHED, result=result)
    sweeps.advance(engine, sweep["id"])
    best = http.get(f"/v1/sweeps/{sweep['id']}/best").json()
    assert best["job"]["data"]["standardize_target"] is expected


def test_a_folder_of_pictures_trains_without_naming_its_columns(empty: Http) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for number in range(40):
            picture, content = Image.new("L", (4, 4), 6 * number), io.BytesIO()
            picture.save(content, "PNG")
            archive.writestr(f"{'ab'[number % 2]}/{number}.png", content.getvalue())
    uploaded = empty.upload("pictures", sink.getvalue(), "application/zip").json()
    assert [column["name"] for column in uploaded["columns"]] == ["image", "label", "file"]
    network = [{"kind": "flatten"}, {"kind": "dense", "units": 2}]
    job = empty.submitted(dataset="pictures", network=network)
    assert job["spec"]["data"]["features"] == ["image"]
    sweep = {
        "name": "pictures",
        "job": {**SPEC, "dataset": "pictures", "network": network},
        "search_space": {"seed": {"kind": "int", "low": 1, "high": 9}},
        "objective": {"metric": "valid/accuracy", "direction": "maximize"},
        "n_trials": 2,
    }
    answer = empty.post("/v1/sweeps", sweep)
    assert answer.status_code == 202, answer.text
    assert answer.json()["spec"]["job"]["data"]["features"] == ["image"]
    assert empty.post("/v1/sweeps/forecast", sweep).status_code == 200
