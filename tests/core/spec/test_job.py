"""The JobSpec: what it accepts, what it refuses and how it names the field."""

import json
from typing import Any

import jsonschema_rs
import pytest
from pydantic import ValidationError

from core.family import members
from core.nn.layer import Layer
from core.nn.layers.dense import Dense
from core.nn.loss import Loss
from core.nn.metric import Metric
from core.nn.network import Network
from core.nn.optimizer import Optimizer
from core.nn.schedule import Schedule
from core.spec import JobSpec
from core.spec.job import DIGITS


def test_validating_makes_the_objects_that_train() -> None:
    spec = JobSpec.model_validate(DIGITS)
    assert isinstance(spec.layers[0], Dense)
    assert spec.network == Network(spec.layers)
    assert spec.network.output((64,)) == (10,)


def test_a_network_is_taken_as_it_is() -> None:
    network = JobSpec.model_validate(DIGITS).network
    assert JobSpec.model_validate({**DIGITS, "network": network}).network is network


def test_a_spec_survives_json() -> None:
    spec = JobSpec.model_validate(DIGITS)
    assert JobSpec.model_validate_json(spec.model_dump_json()) == spec


def test_short_forms_are_stored_in_full() -> None:
    short: dict[str, Any] = {
        **DIGITS,
        "network": [64, "relu", {"kind": "residual", "layers": [64, "tanh"]}, 10],
        "loss": "cross_entropy",
        "optimizer": "sgd",
        "metrics": ["accuracy"],
        "data": {"target": "label", "prepare": ["one_hot"]},
    }
    spec = JobSpec.model_validate(short)
    stored = spec.model_dump(mode="json")
    assert [layer["kind"] for layer in stored["network"]] == ["dense", "relu", "residual", "dense"]
    assert stored["network"][2]["layers"][0]["units"] == 64
    assert stored["loss"]["kind"] == "cross_entropy"
    assert stored["optimizer"]["kind"] == "sgd"
    assert stored["metrics"][0]["kind"] == "accuracy"
    assert stored["data"]["prepare"][0]["kind"] == "one_hot"
    assert JobSpec.model_validate(stored) == spec
    assert jsonschema_rs.validator_for(JobSpec.model_json_schema()).is_valid(short)


@pytest.mark.parametrize("given", [True, None, 2.5, "dense", "64", [64]])
def test_what_is_no_short_form_is_refused(given: Any) -> None:
    document = {**DIGITS, "network": [given]}
    with pytest.raises(ValidationError):
        JobSpec.model_validate(document)
    assert not jsonschema_rs.validator_for(JobSpec.model_json_schema()).is_valid(document)


@pytest.mark.parametrize("family", [Layer, Loss, Metric, Optimizer, Schedule])
def test_every_example_of_every_member_survives_json(family: Any) -> None:
    field = {
        Layer: "network",
        Loss: "loss",
        Metric: "metrics",
        Optimizer: "optimizer",
        Schedule: "schedule",
    }[family]
    assert members(family)
    for kind, one in members(family).items():
        for example in one.examples():
            member = example[0] if isinstance(example, tuple) else example
            value = {"network": Network((member,)), "metrics": (member,)}.get(field, member)
            spec = JobSpec.model_validate(DIGITS).model_copy(update={field: value})
            again = JobSpec.model_validate_json(spec.model_dump_json())
            assert getattr(again, field) == value, kind


def test_every_member_shows_in_the_schema_with_its_bounds() -> None:
    text = json.dumps(JobSpec.model_json_schema())
    for family in (Layer, Loss, Metric, Optimizer, Schedule):
        for kind in members(family):
            assert f'"const": "{kind}"' in text, kind
    units = JobSpec.model_json_schema()["$defs"]["Dense"]["properties"]["units"]
    assert units["minimum"] == 1


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"network": [{"kind": "dens", "units": 3}]}, ("network", 0)),
        ({"network": [{"kind": "dense", "units": 0}]}, ("network", 0, "dense", "units")),
        ({"network": []}, ("network",)),
        ({"optimizer": {"kind": "adam", "learning_rate": -1}}, ("optimizer", "adam")),
        ({"optimizer": {"kind": "adam", "learning_rate": float("nan")}}, ("optimizer", "adam")),
        ({"epochs": 0}, ("epochs",)),
        ({"epohcs": 3}, ("epohcs",)),
        ({"dataset": "../../etc/passwd"}, ("dataset",)),
        ({"experiment": ""}, ("experiment",)),
        ({"seed": -1}, ("seed",)),
        ({"tags": {"a b": "c"}}, ("tags",)),
        ({"data": {"target": "y", "split": {"train": 0.9, "valid": 0.9}}}, ("data", "split")),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], where: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        JobSpec.model_validate({**DIGITS, **changes})
    assert caught.value.errors()[0]["loc"][: len(where)] == where
