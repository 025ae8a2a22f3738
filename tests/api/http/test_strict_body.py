"""Values of another JSON type than the schema's are refused, with their path."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.api_cases import SPEC, Http, assert_problem


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"epochs": "2"}, "epochs"),
        ({"epochs": True}, "epochs"),
        ({"seed": False}, "seed"),
        ({"batch_size": "8"}, "batch_size"),
        ({"optimizer": {"kind": "adam", "learning_rate": "0.1"}}, "optimizer.learning_rate"),
        ({"data": {"target": "label", "standardize": "yes"}}, "data.standardize"),
        ({"data": {"target": "label", "standardize": 1}}, "data.standardize"),
        (
            {"network": [{"kind": "relu"}, {"kind": "dense", "units": "2"}]},
            "network[1].units",
        ),
    ],
)
def test_nothing_is_read_as_what_it_is_not(http: Http, changes: dict[str, Any], path: str) -> None:
    assert_problem(http.post("/v1/jobs", {**SPEC, **changes}), 422, path)


def test_short_forms_are_taken(http: Http) -> None:
    short = {"network": [4, "relu", 2], "loss": "cross_entropy", "metrics": ["accuracy"]}
    job = http.submitted(**short)
    assert job["spec"]["network"][0]["units"] == 4
    assert job["spec"]["loss"]["kind"] == "cross_entropy"
    assert_problem(http.post("/v1/jobs", {**SPEC, "network": [4, "relu", "2"]}), 422, "network[2]")


def test_a_whole_number_may_have_a_point(http: Http) -> None:
    assert http.submitted(epochs=2.0)["epochs_total"] == 2


def test_small_bodies_are_taken_at_their_word_too(http: Http, pets_model: Path) -> None:
    path = f"/v1/jobs/{http.submitted()['id']}/priority"
    assert_problem(http.post(path, {"priority": "7"}), 422, "priority")
    assert_problem(http.post(path, {"priority": True}), 422, "priority")
    path = f"/v1/jobs/{http.finished(pets_model)}/predict"
    body = {"rows": [{"p0": 1, "p1": 1}], "probabilities": "true"}
    assert_problem(http.post(path, body), 422, "probabilities")
