"""A SweepSpec that cannot work is refused with the field that is wrong."""

from typing import Any

import pytest
from pydantic import ValidationError

from chainrule.contract import paths
from core.nn.layers.dense import Dense
from core.nn.layers.elu import Elu
from core.spec.job import DIGITS
from core.spec.sweep import EXAMPLE, SweepSpec
from core.spec.version import encode


def refused(**changes: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        SweepSpec.model_validate({**EXAMPLE, **changes})
    return {paths_of(error["loc"]): error["msg"] for error in caught.value.errors()}


def paths_of(loc: tuple[str | int, ...]) -> str:
    return "/".join(map(str, loc))


RATE = {"optimizer.learning_rate": {"kind": "float", "low": 0.001, "high": 0.1}}


def test_the_example_is_valid_and_makes_jobs() -> None:
    sweep = SweepSpec.model_validate(EXAMPLE)
    job = sweep.at({"optimizer.learning_rate": 0.5, "network[0].units": 7})
    assert job.optimizer.learning_rate == 0.5
    assert job.layers[0] == Dense(units=7)
    assert sweep.job.layers[0] == Dense(units=64)
    assert SweepSpec.model_validate(sweep.model_dump(mode="json")) == sweep


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("optimizer.rate", "the fields are "),
        ("network[7].units", "the last index is [2]"),
        ("network[1].units", "there is no 'units'"),
        ("epochs.more", "the value before it is 30"),
        ("optimizer..kind", "is not a path"),
        (".optimizer", "is not a path"),
        ("network[x]", "is not a path"),
        ("dataset", "all trials share"),
        ("data.split_seed", "all trials share"),
    ],
)
def test_a_path_that_leads_nowhere(path: str, said: str) -> None:
    found = refused(search_space={path: {"kind": "int", "low": 1, "high": 2}})
    assert said in found[f"search_space/{path}"]


@pytest.mark.parametrize(
    ("dimension", "said"),
    [
        ({"kind": "float", "low": 2, "high": 1}, "low (2) is above high (1)"),
        ({"kind": "float", "low": 0, "high": 1, "log": True}, "log needs a low above 0"),
        ({"kind": "float", "low": 1, "high": 2, "step": 0.3}, "whole number of steps"),
        ({"kind": "float", "low": 0, "high": 1, "step": 5e-324}, "too many steps"),
        ({"kind": "float", "low": 0, "high": 1, "step": 1e-300}, "too many steps"),
        ({"kind": "float", "low": -1e308, "high": 1e308}, "more than a number can be"),
        ({"kind": "int", "low": 0, "high": 10**400}, "at most"),
        ({"kind": "int", "low": 0, "high": 10**18, "step": 10**17}, "at most"),
        ({"kind": "float", "low": 1, "high": 2, "log": True, "step": 1}, "exclude"),
        ({"kind": "float", "low": -1, "high": 1}, "-1.0 makes the job invalid"),
        ({"kind": "categorical", "choices": [0.1, 0.1]}, "twice"),
        ({"kind": "categorical", "choices": [0.1, "fast"]}, "'fast' makes the job invalid"),
    ],
)
def test_values_that_no_job_can_have(dimension: dict[str, Any], said: str) -> None:
    found = refused(search_space={"optimizer.learning_rate": dimension})
    assert any(
        place.startswith("search_space/optimizer.learning_rate") and said in message
        for place, message in found.items()
    ), found


def test_an_unknown_kind_and_an_unknown_field_are_named() -> None:
    assert "search_space/seed" in refused(search_space={"seed": {"kind": "normal"}})
    assert "sampler" in refused(sampler={"kind": "oracle"})
    assert "pruner/median/patience" in refused(pruner={"kind": "median", "patience": 1})
    assert "n_trial" in refused(n_trial=3)


def test_two_paths_about_one_field() -> None:
    both = {"kind": "categorical", "choices": [{"kind": "adam"}, {"kind": "sgd"}]}
    found = refused(search_space={"optimizer": both, **RATE})
    assert "overlap" in found["search_space/optimizer.learning_rate"]


def test_an_objective_that_nothing_reports() -> None:
    found = refused(objective={"metric": "valid/f1", "direction": "maximize"})
    assert "valid/accuracy" in found["objective/metric"]
    several = [
        {"metric": "valid/loss", "direction": "minimize"},
        {"metric": "speed", "direction": "maximize"},
    ]
    assert "objective/1/metric" in refused(objective=several, pruner={"kind": "none"})


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_table_is_no_objective(part: str) -> None:
    job = {**DIGITS, "metrics": [{"kind": "accuracy"}, {"kind": "confusion_matrix"}]}
    table = {"metric": f"{part}/confusion_matrix", "direction": "maximize"}
    found = refused(job=job, objective=table, pruner={"kind": "none"})
    assert "is not reported" in found["objective/metric"]


def test_a_pruner_needs_an_objective_of_each_epoch() -> None:
    at_the_end = {"metric": "test/accuracy", "direction": "maximize"}
    assert "only at the end" in refused(objective=at_the_end)["objective/metric"]
    SweepSpec.model_validate({**EXAMPLE, "objective": at_the_end, "pruner": {"kind": "none"}})


def test_methods_that_do_not_fit() -> None:
    two = [
        {"metric": "valid/loss", "direction": "minimize"},
        {"metric": "valid/accuracy", "direction": "maximize"},
    ]
    assert "pruner" in refused(objective=two)
    assert "sampler" in refused(objective=two, pruner={"kind": "none"}, sampler={"kind": "cma_es"})
    assert (
        "step"
        in refused(sampler={"kind": "grid"}, search_space=RATE)[
            "search_space/optimizer.learning_rate"
        ]
    )


def test_baselines_lie_in_the_space() -> None:
    assert "outside" in refused(baseline=[{"network[0].units": 17}])["baseline/0/network[0].units"]
    assert "baseline/0/epochs" in refused(baseline=[{"epochs": 3}])


def test_a_grid_has_no_more_trials_than_points() -> None:
    grid = {"sampler": {"kind": "grid"}, "pruner": {"kind": "none"}}
    units = {"network[0].units": {"kind": "int", "low": 8, "high": 32, "step": 8}}
    assert SweepSpec.model_validate({**EXAMPLE, **grid, "search_space": units}).trials == 4
    assert SweepSpec.model_validate({**EXAMPLE, "search_space": units}).trials == 50


def test_whole_layers_may_be_searched() -> None:
    layers = {"kind": "categorical", "choices": [{"kind": "relu"}, {"kind": "elu", "alpha": 0.5}]}
    sweep = SweepSpec.model_validate({**EXAMPLE, "search_space": {"network[1]": layers}})
    assert sweep.at({"network[1]": {"kind": "elu", "alpha": 0.5}}).layers[1] == Elu(alpha=0.5)


def test_a_path_and_its_steps() -> None:
    assert paths.parse("network[0].inner[12].units") == ("network", 0, "inner", 12, "units")
    with pytest.raises(ValueError, match="empty"):
        paths.parse("")


def test_a_cross_validated_trial_is_a_job_for_each_fold() -> None:
    given = {"folds": 3, "group_by": "writer"}
    sweep = SweepSpec.model_validate({**EXAMPLE, "cross_validation": given})
    job = sweep.at({"optimizer.learning_rate": 0.5})
    assert (job.data.split.group_by, job.data.split.fold) == ("writer", None)
    made = sweep.jobs(job)
    folds = [one.data.split.fold for one in made]
    assert [(fold.number, fold.of) for fold in folds if fold] == [(0, 3), (1, 3), (2, 3)]
    assert [one.model_copy(update={"data": job.data}) for one in made] == [job] * 3
    # Each is a job that can be asked for as it is.
    assert [type(job).model_validate(one.model_dump(mode="json")) for one in made] == made
    assert SweepSpec.model_validate(EXAMPLE).jobs(job) == [job]
    plain = SweepSpec.model_validate({**EXAMPLE, "cross_validation": {"stratified": False}}).at({})
    assert not plain.data.stratify


def test_folds_that_cannot_be_are_refused() -> None:
    def job(split: dict[str, Any]) -> dict[str, Any]:
        return {**DIGITS, "data": {"target": "label", "split": split}}

    assert set(refused(cross_validation={"folds": 1})) == {"cross_validation/folds"}
    folded = job({"fold": {"number": 0, "of": 3}})
    assert "job/data/split/fold" in refused(job=folded, cross_validation={})
    grouped = refused(cross_validation={"group_by": "a", "stratified": True})
    assert set(grouped) == {"cross_validation/stratified"}
    errors = refused(job=job({"column": "part"}), cross_validation={"group_by": "a"})
    assert set(errors) == {"cross_validation/group_by"}
    # Without rows to validate on of its own, the job has some in each fold.
    without = job({"train": 0.9, "valid": 0, "test": 0.1})
    assert "objective/metric" in refused(job=without)
    SweepSpec.model_validate({**EXAMPLE, "job": without, "cross_validation": {}})


CONDITIONAL: dict[str, Any] = {
    "optimizer": {"kind": "categorical", "choices": ["sgd", {"kind": "adam"}]},
    "optimizer.momentum": {
        "kind": "float",
        "low": 0.5,
        "high": 0.9,
        "when": {"optimizer.kind": "sgd"},
    },
    "optimizer.learning_rate": {
        "kind": "float",
        "low": 0.001,
        "high": 0.1,
        "when": {"optimizer.kind": ["sgd", "adam"]},
    },
}


def test_a_field_is_searched_only_where_its_condition_is_met() -> None:
    sweep = SweepSpec.model_validate({**EXAMPLE, "search_space": CONDITIONAL})
    values = {"optimizer.momentum": 0.7, "optimizer.learning_rate": 0.01}
    sgd = sweep.at({**values, "optimizer": "sgd"}).optimizer
    assert (sgd.kind, sgd.momentum, sgd.learning_rate) == ("sgd", 0.7, 0.01)  # type: ignore[attr-defined]
    adam = {**values, "optimizer": {"kind": "adam"}}
    assert sweep.at(adam).optimizer.kind == "adam"
    assert sweep.at(adam).optimizer.learning_rate == 0.01
    active = sweep.search("s").active(adam)
    assert active == {"optimizer": {"kind": "adam"}, "optimizer.learning_rate": 0.01}
    assert sweep.at(active) == sweep.at(adam)
    assert SweepSpec.model_validate(sweep.model_dump(mode="json")) == sweep


def test_a_field_that_the_job_lacks_at_a_point_makes_the_point_invalid() -> None:
    dense = {"kind": "dense", "units": 10}
    space = {
        "network": {"kind": "categorical", "choices": [[dense, "relu", dense], [dense]]},
        "network[2].bias": {
            "kind": "categorical",
            "choices": [True, False],
            "when": {"optimizer.kind": "adam"},
        },
    }
    sweep = SweepSpec.model_validate({**EXAMPLE, "search_space": space})
    values = {"network": [dense], "network[2].bias": False}
    assert sweep.search("s").active(values) == values
    with pytest.raises(ValidationError, match=r"network\[2\].bias: there is no \[2\]"):
        sweep.at(values)
    never = {"network[7].bias": space["network[2].bias"]}
    assert "makes the job invalid" in refused(search_space=never)["search_space/network[7].bias"]


def test_conditions_are_written_only_where_there_are_some() -> None:
    plain = encode(SweepSpec.model_validate(EXAMPLE))
    assert "when" not in plain.document["search_space"]["optimizer.learning_rate"]
    assert plain.version == 1
    given = encode(SweepSpec.model_validate({**EXAMPLE, "search_space": CONDITIONAL}))
    assert given.document["search_space"]["optimizer.momentum"]["when"]
    assert given.version == 2


@pytest.mark.parametrize(
    ("when", "place", "said"),
    [
        ({"optimizer.kind": "lion"}, "/when", "no value of the job"),
        ({"network[9].kind": "relu"}, "/when", "no value of the job"),
        ({"network[": "relu"}, "/when", "is not a path"),
    ],
)
def test_a_condition_that_is_never_met_is_refused(
    when: dict[str, Any], place: str, said: str
) -> None:
    space = {
        **CONDITIONAL,
        "optimizer.momentum": {**CONDITIONAL["optimizer.momentum"], "when": when},
    }
    assert said in refused(search_space=space)[f"search_space/optimizer.momentum{place}"]


def test_a_sampler_that_visits_each_point_takes_no_conditions() -> None:
    space = {
        name: {**dimension, "step": 0.1} if name.endswith("momentum") else dimension
        for name, dimension in list(CONDITIONAL.items())[:2]
    }
    found = refused(search_space=space, sampler={"kind": "grid"})
    assert "several times" in found["search_space/optimizer.momentum"]


def test_preparation_is_searched_and_rows_are_not() -> None:
    steps = [[], [{"kind": "min_max"}]]
    space = {
        "data.standardize": {"kind": "categorical", "choices": [True, False]},
        "data.prepare": {"kind": "categorical", "choices": steps},
    }
    sweep = SweepSpec.model_validate({**EXAMPLE, "search_space": space})
    job = sweep.at({"data.standardize": False, "data.prepare": steps[1]})
    assert (job.data.standardize, job.data.prepare[0].kind) == (False, "min_max")
    for path in (
        "data",
        "data.target",
        "data.split.train",
        "data.query",
        "data.standardize_target",
    ):
        found = refused(search_space={path: {"kind": "categorical", "choices": [1]}})
        shared = ".".join(path.split(".")[:2])
        assert found[f"search_space/{path}"] == f"all trials share the job's {shared}"
