"""Jobs as objects, their curves, and DataFrames as rows, datasets and answers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chainrule.client import Client, ProblemError
from chainrule.client.frames import records
from chainrule.client.jobs import Job
from core.data.ingest.parser import ParsedDataset
from tests.chainrule.conftest import RESULT
from tests.support.api_cases import Bridge, Http

SPEC = {
    "experiment": "pets",
    "dataset": "pets@1",
    "data": {"target": "label"},
    "network": [{"kind": "dense", "units": 2}],
    "loss": {"kind": "cross_entropy"},
    "optimizer": {"kind": "sgd", "learning_rate": 0.1},
}


@pytest.fixture
def client(app_http: Http) -> Client:
    """A client of an app in this process, whose jobs end at once."""
    return Client("http://127.0.0.1:8000", "", transport=Bridge(app_http, RESULT), source=False)


@pytest.fixture
def job(client: Client) -> Job:
    """A job that has ended."""
    client.datasets.upload("pets", Path("my pets.v2.csv"))
    return client.jobs.submit(SPEC)


def test_fields_of_a_job_are_attributes_that_can_be_completed(job: Job) -> None:
    assert job.id == job["id"]
    assert job.spec.network[0].units == 2
    assert {"id", "status", "last_metrics", "wait", "history"} <= set(dir(job))
    with pytest.raises(AttributeError, match="no field 'colour'; there are id, "):
        _ = job.colour


def test_a_job_ends_and_shows_itself(job: Job) -> None:
    changes: list[str] = []
    assert job.wait(timeout_seconds=30, on_change=lambda now: changes.append(now.status)) is job
    assert changes == ["finished"]
    assert job.status == "finished"
    assert repr(job) == (f"<Job {job.id} on pets@1: finished, test/accuracy 0.95, test/loss 0.2>")
    html = job._repr_html_()
    assert "<th style='text-align:left'>status</th><td style='text-align:left'>finished" in html
    assert "retry_of" not in html


def test_text_of_others_is_escaped_in_a_notebook(client: Client) -> None:
    client.datasets.upload("pets", Path("my pets.v2.csv"))
    job = client.jobs.submit({**SPEC, "tags": {"note": "<img src=x>"}})
    assert "<img" not in job._repr_html_()


def test_a_job_that_has_ended_cannot_be_cancelled(job: Job) -> None:
    with pytest.raises(ProblemError) as refused:
        job.cancel()
    assert refused.value.status == 409


def test_curves_are_arrays(app_http: Http, pets: ParsedDataset, pets_model: Path) -> None:
    app_http.register(pets)
    job_id = app_http.finished(pets_model)
    client = Client("http://127.0.0.1:8000", "", transport=Bridge(app_http), source=False)
    curves = client.jobs.get(job_id).history()
    points = app_http.get(f"/v1/jobs/{job_id}/metrics").json()["items"]
    assert set(curves) == {point["key"] for point in points}
    for name, curve in curves.items():
        expected = [point for point in points if point["key"] == name]
        assert curve.steps.tolist() == [point["step"] for point in expected]
        np.testing.assert_array_equal(
            np.asarray(curve.values), [point["value"] for point in expected]
        )


def test_frames_go_in_and_come_out(app_http: Http, pets: ParsedDataset, pets_model: Path) -> None:
    app_http.register(pets)
    job_id = app_http.finished(pets_model)
    client = Client("http://127.0.0.1:8000", "", transport=Bridge(app_http), source=False)
    version = client.datasets.upload("table", pd.DataFrame({"x": [1.5, 2.5], "y": ["a", "b"]}))
    assert [column.name for column in version.columns] == ["x", "y"]
    rows = pd.DataFrame({"p0": [1, 4], "p1": [0.5, 2.5]}, index=["first", "second"])
    job = client.jobs.get(job_id)
    answer = job.predict(rows.to_dict("records"), probabilities=True)
    predicted = job.predict(rows, probabilities=True)
    assert predicted["prediction"].tolist() == answer.predictions
    assert predicted.index.tolist() == ["first", "second"]
    for label in answer.probabilities[0]:
        assert predicted.loc["second", f"probability of {label}"] == answer.probabilities[1][label]
    frame = client.jobs.to_frame(status="finished")
    assert frame["id"].tolist() == [job_id]


def test_empty_cells_of_a_frame_are_none() -> None:
    frame = pd.DataFrame({"x": [1.5, None], "kind": ["a", None]})
    assert records(frame) == [{"x": 1.5, "kind": "a"}, {"x": None, "kind": None}]
    assert records([{"x": 1}]) == [{"x": 1}]
