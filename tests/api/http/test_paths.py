"""Places of wrong fields read as a person would write them."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api.http.fields import Fields
from api.http.messages import message
from api.http.paths import field_errors, render
from api.http.synonyms import SYNONYMS, closest
from core.family import Family, members
from core.spec import JobSpec
from core.spec.job import DIGITS
from core.spec.sweep import EXAMPLE, SweepSpec

SCHEMA = JobSpec.model_json_schema(ref_template="#/components/schemas/{model}")
KNOWN = Fields({"components": {"schemas": SCHEMA["$defs"]}}, SCHEMA)


def wrong(**changes: Any) -> dict[str, str]:
    """The paths and messages of what is wrong with the digits spec after `changes`."""
    body = {**DIGITS, **changes}
    with pytest.raises(ValidationError) as caught:
        JobSpec.model_validate(body)
    located = [{**error, "loc": ("body", *error["loc"])} for error in caught.value.errors()]
    return {error.path: error.message for error in field_errors(located, body, lambda: KNOWN)}


def test_a_member_of_a_family_does_not_show_in_the_path() -> None:
    assert "network[0].units" in wrong(network=[{"kind": "dense", "units": 0}])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"epochs": 0}, {"epochs": "must be at least 1, not 0"}),
        ({"epochs": "ten"}, {"epochs": 'expected a whole number, not "ten"'}),
        ({"epochs": 1.5}, {"epochs": "expected a whole number, not 1.5"}),
        (
            {"epochs": None},
            {
                "epochs": "expected a whole number, not null: leave the field out to use its "
                "default, if it has one"
            },
        ),
        ({"experiment": 3}, {"experiment": "expected a text, not 3"}),
        ({"data": []}, {"data": "expected an object, like {...}, not []"}),
        ({"network": "relu"}, {"network": 'expected a list, like [...], not "relu"'}),
        (
            {"checkpoint": {"keep": 1, "every_seconds": 0}},
            {
                "checkpoint.keep": "must be at least 2, not 1",
                "checkpoint.every_seconds": "must be above 0.0, not 0",
            },
        ),
        (
            {"device": "gpus"},
            {"device": "expected 'cpu' or 'gpu', not \"gpus\"; did you mean 'gpu'?"},
        ),
        ({"description": "x" * 5000}, {"description": "must have at most 4096 characters"}),
    ],
)
def test_messages_say_what_is_expected_and_what_was_sent(
    changes: dict[str, Any], expected: dict[str, str]
) -> None:
    assert wrong(**changes) == expected


def test_a_choice_of_a_union_names_the_choices_only() -> None:
    body = {**EXAMPLE, "objective": {"metric": "valid/loss", "direction": "max"}}
    with pytest.raises(ValidationError) as caught:
        SweepSpec.model_validate(body)
    located = [{**error, "loc": ("body", *error["loc"])} for error in caught.value.errors()]
    (error,) = field_errors(located, body, lambda: KNOWN)
    assert error.path == "objective.direction"
    assert error.message == (
        "expected 'minimize' or 'maximize', not \"max\"; did you mean 'maximize'?"
    )


@pytest.mark.parametrize(
    "kind",
    [
        *("int_type", "int_parsing", "int_from_float", "float_type", "float_parsing"),
        *("string_type", "bool_type", "bool_parsing", "list_type", "tuple_type", "set_type"),
        *("dict_type", "model_type", "model_attributes_type", "dataclass_type", "mapping_type"),
        *("finite_number", "datetime_type", "datetime_from_date_parsing", "timezone_aware"),
    ],
)
def test_no_message_of_pydantic_is_left_for_types(kind: str) -> None:
    error = {"type": kind, "msg": "Input should be", "input": 1, "ctx": {}}
    assert message(error).startswith("expected ")


def test_an_unknown_kind_points_at_kind_and_lists_those_there_are() -> None:
    found = wrong(network=[{"kind": "dense", "units": 3}, {"kind": "dens"}])
    assert list(found) == ["network[1].kind"]
    assert "'dens'" in found["network[1].kind"]
    assert "'relu'" in found["network[1].kind"]


@pytest.mark.parametrize(
    ("changes", "path", "meant"),
    [
        ({"loss": {"kind": "mse"}}, "loss.kind", "mean_squared_error"),
        ({"loss": "MSELoss"}, "loss", "mean_squared_error"),
        ({"network": [{"kind": "linear", "units": 3}]}, "network[0].kind", "dense"),
        ({"network": ["reluu"]}, "network[0]", "relu"),
        ({"network": ["ReLU"]}, "network[0]", "relu"),
        ({"metrics": ["mean_squared_error"]}, "metrics[0]", "mse"),
        ({"optimizer": {"kind": "AdamW"}}, "optimizer.kind", "adamw"),
    ],
)
def test_a_kind_of_another_library_is_translated(
    changes: dict[str, Any], path: str, meant: str
) -> None:
    assert f"; did you mean '{meant}'? known kinds: " in wrong(**changes)[path]


def test_every_synonym_means_a_kind_or_a_field() -> None:
    kinds = {kind for family in Family.__subclasses__() for kind in members(family)}
    fields = {name for schema in SCHEMA["$defs"].values() for name in schema.get("properties", {})}
    known = kinds | fields | set(SCHEMA["properties"])
    for word, names in SYNONYMS.items():
        assert known.issuperset(names), word
        assert closest(word.upper(), names) == names[0]


def test_a_short_form_without_a_required_field_is_located() -> None:
    assert wrong(network=["dense"]) == {"network[0].units": "this field is required"}
    assert list(wrong(network=[0])) == ["network[0]"]


def test_a_missing_kind_points_at_kind() -> None:
    assert list(wrong(loss={})) == ["loss.kind"]


def test_a_missing_field_is_named() -> None:
    assert wrong(network=[{"kind": "dense"}]) == {"network[0].units": "this field is required"}


@pytest.mark.parametrize(
    ("changes", "path", "advice"),
    [
        ({"epoch": 3}, "epoch", "did you mean 'epochs'?"),
        ({"optimizer": {"kind": "sgd", "lr": 1}}, "optimizer.lr", "did you mean 'learning_rate'?"),
        ({"optimizer": {"kind": "sgd", "beta": 1}}, "optimizer.beta", "known fields: kind, "),
        (
            {"network": [{"kind": "dense", "units": 1, "unit": 3}]},
            "network[0].unit",
            "did you mean 'units'?",
        ),
        (
            {"data": {"target": "y", "prepare": [{"kind": "one_hot", "columns": [], "column": 1}]}},
            "data.prepare[0].column",
            "did you mean 'columns'?",
        ),
    ],
)
def test_an_unknown_field_is_named_and_what_there_is_instead(
    changes: dict[str, Any], path: str, advice: str
) -> None:
    assert wrong(**changes)[path].startswith(f"unknown field; {advice}")


def test_a_field_called_as_the_member_is_still_found() -> None:
    found = wrong(network=[{"kind": "relu", "relu": 1}])
    assert found == {"network[0].relu": "unknown field; known fields: kind"}


def test_the_branches_of_a_union_are_one_complaint() -> None:
    found = wrong(batch_size="some")
    assert list(found) == ["batch_size"]
    assert "; or " in found["batch_size"]


def test_own_messages_come_without_pydantic_s_prefix() -> None:
    found = wrong(data={"target": "label", "split": {"train": 0.9, "valid": 0.9}})
    assert found == {"data.split": "train, valid and test sum to more than 1"}


def test_places_outside_the_body_say_where() -> None:
    error = {"loc": ("query", "limit"), "type": "greater_than_equal", "ctx": {"ge": 1}, "input": 0}
    assert field_errors([error], None, lambda: KNOWN)[0].path == "query.limit"


@given(st.lists(st.one_of(st.from_regex(r"[a-z]+", fullmatch=True), st.integers(0, 99))))
def test_a_rendered_path_leads_back(steps: list[str | int]) -> None:
    parts = re.findall(r"\[(\d+)\]|([a-z]+)", render(steps))
    assert [int(number) if number else name for number, name in parts] == steps


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from([*DIGITS, "kind", "units"]), inner,
                                      max_size=4), max_leaves=12))  # fmt: skip
def test_whatever_is_sent_errors_have_paths_and_messages(body: Any) -> None:
    try:
        TypeAdapter(JobSpec).validate_python(body)
    except ValidationError as error:
        located = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        found = field_errors(located, body, lambda: KNOWN)
        assert found
        assert all(one.message for one in found)
