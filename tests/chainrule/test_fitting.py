"""`chainrule.fit` trains on files and tables; its search fits the job."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import chainrule
from chainrule import fitting
from chainrule.client import Client
from chainrule.fitting import Fit, FitError, best_trial, search
from chainrule.specs import first_spec
from core.data.ingest.parser import ParsedDataset
from core.spec.sweep import SweepSpec
from tests.chainrule.conftest import RESULT
from tests.support.api_cases import Bridge, Http


@pytest.fixture
def bridged(app_http: Http, monkeypatch: pytest.MonkeyPatch) -> Http:
    """An app that clients of `chainrule.fit` talk to, whose jobs end at once."""
    bridge = Bridge(app_http, RESULT)
    monkeypatch.setattr(
        fitting, "Client", lambda url, token: Client(url, token, transport=bridge, source=False)
    )
    return app_http


def test_a_table_becomes_a_dataset_and_a_model(bridged: Http) -> None:
    table = pd.DataFrame(
        {
            "x": [0.5, 1.5, 2.5, 4.0] * 10,
            "kind": ["a", "b", None, "a"] * 10,
            "label": ["u", "v"] * 20,
        }
    )
    model = chainrule.fit(table, target="label", changes={"epochs": 3}, name="frames")
    assert model.spec["dataset"] == "frames@1"
    assert model.spec["data"]["prepare"][0]["kind"] == "impute"
    assert bridged.get(f"/v1/jobs/{model.job['id']}").json()["spec"]["epochs"] == 3
    assert model.scores == {"test/accuracy": 0.95, "test/loss": 0.2}
    assert model.baseline is not None
    assert model.baseline["baseline_value"] == 0.5
    assert "test/accuracy 0.95" in repr(model)
    again = chainrule.fit(table, target="label", name="frames")
    assert again.spec["dataset"] == "frames@1"


@pytest.mark.usefixtures("bridged")
def test_a_file_becomes_a_dataset_of_its_name() -> None:
    assert chainrule.fit(Path("my pets.v2.csv")).spec["dataset"] == "my-pets@1"
    with pytest.raises(ValueError, match="a DataFrame"):
        chainrule.fit(3)
    with pytest.raises(ValueError, match="no column 'price'"):
        chainrule.fit("my pets.v2.csv", target="price")


def test_a_model_predicts_rows_and_frames(
    bridged: Http, pets: ParsedDataset, pets_model: Path, tmp_path: Path
) -> None:
    bridged.register(pets)
    job_id = bridged.finished(pets_model)
    model = Fit({"id": job_id}, {}, "http://127.0.0.1:8000", "", tmp_path)
    rows = [{"p0": 1, "p1": 0.5}, {"p0": 4, "p1": 2.5}]
    expected = bridged.post(f"/v1/jobs/{job_id}/predict", {"rows": rows}).json()["predictions"]
    assert model.predict(rows) == expected
    assert model.predict(pd.DataFrame(rows)) == expected


def version(rows: int) -> dict[str, Any]:
    """A dataset version as the api returns it."""
    column = {"dtype": "float64", "shape": [], "nulls": 0, "not_finite": 0, "classes": None}
    columns = [{**column, "name": "x"}, {**column, "name": "y"}]
    return {"name": "points", "version": 1, "rows": rows, "columns": columns}


def test_a_search_begins_with_the_job_and_ends_in_time() -> None:
    spec = first_spec(version(100))
    sweep = SweepSpec.model_validate(search(spec, 2.5))
    assert sweep.budget.seconds == 150
    first = sweep.at(dict(sweep.baseline[0]))
    assert (first.network, first.optimizer) == (sweep.job.network, sweep.job.optimizer)
    assert set(sweep.search_space) == {
        "optimizer.learning_rate",
        "regularization.weight_decay",
        "network[0].units",
    }
    with pytest.raises(ValueError, match="too few rows"):
        search(first_spec(version(9)), 1)
    with pytest.raises(ValueError, match="learning_rate"):
        search({**spec, "optimizer": {"kind": "adadelta"}}, 1)


def test_a_search_without_a_finished_trial_is_an_error() -> None:
    with Client() as server, pytest.raises(FitError, match="allow more minutes"):
        best_trial(server, {"id": "a", "best": []})
