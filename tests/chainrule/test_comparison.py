"""Two jobs are compared place by place; histories part at a named epoch and metric."""

from typing import Any

import pytest

from chainrule.comparison import (
    Difference,
    differences,
    first_difference,
    first_layer,
    identical_weights,
    other_environment,
    other_kernel,
)


def job(**changes: Any) -> dict[str, Any]:
    return {
        "dataset": "digits@1",
        "spec": {"seed": 7, "network": [{"kind": "dense", "units": 4}]},
        "attempts": [{"node": "a", "versions": {"numpy": "2.0"}}],
        "status": "finished",
        "weights_digest": "f" * 64,
        **changes,
    }


def point(epoch: int, key: str, value: object) -> dict[str, Any]:
    return {"epoch": epoch, "step": epoch * 10, "key": key, "value": value}


def test_equal_jobs_have_no_difference() -> None:
    assert differences(job(), job()) == []


def test_every_difference_is_named_by_its_place() -> None:
    other = job(
        dataset="digits@2",
        spec={"seed": 8, "network": [{"kind": "dense", "units": 4}, {"kind": "relu"}]},
        attempts=[{"node": "a", "versions": {"numpy": "2.1"}}],
        weights_digest="e" * 64,
    )
    assert differences(job(), other) == [
        Difference("dataset", "digits@1", "digits@2"),
        Difference("spec.seed", 7, 8),
        Difference("spec.network[1]", "-", {"kind": "relu"}),
        Difference("environment.numpy", "2.0", "2.1"),
        Difference("result.weights_digest", "f" * 64, "e" * 64),
    ]


def test_an_attempt_without_versions_is_compared() -> None:
    silent = job(attempts=[{"node": "b", "versions": None}])
    places = [one.path for one in differences(job(), silent)]
    assert places == ["environment.node", "environment.numpy"]


def test_another_kernel_is_named() -> None:
    def on(kernel: str) -> dict[str, Any]:
        blas = f"openblas 0.3.31 {kernel}"
        return job(attempts=[{"node": "a", "versions": {"numpy": "2.0", "blas": blas}}])

    said = other_kernel(differences(on("Haswell"), on("SkylakeX")))
    assert said is not None
    assert "openblas 0.3.31 Haswell | openblas 0.3.31 SkylakeX" in said
    assert other_kernel(differences(on("Haswell"), on("Haswell"))) is None
    assert other_kernel(differences(job(), job(dataset="digits@2"))) is None


@pytest.mark.parametrize(("digest", "same"), [("f" * 64, True), ("e" * 64, False), (None, None)])
def test_weights_are_compared_by_digest(digest: str | None, same: bool | None) -> None:
    assert identical_weights(job(), job(weights_digest=digest)) is same


def test_histories_part_at_the_first_epoch_that_differs() -> None:
    left = [point(2, "train/loss", 0.3), point(1, "train/loss", 0.5), point(3, "train/loss", 0.1)]
    right = [point(1, "train/loss", 0.5), point(2, "train/loss", 0.4), point(3, "train/loss", 0.2)]
    assert first_difference(left, right) == (2, Difference("train/loss", 0.3, 0.4))
    assert first_difference(left, left) is None
    assert first_difference(left, left[:2]) == (3, Difference("train/loss", 0.1, "-"))


def test_the_first_layer_that_differs_is_named() -> None:
    def insights(*means: float) -> dict[str, Any]:
        return {"activations": {f"network[{i}]": {"mean": mean} for i, mean in enumerate(means)}}

    assert first_layer(insights(1.0, 2.0, 3.0), insights(1.0, 2.5, 3.5)) == "network[1]"
    assert first_layer(insights(1.0, 2.0), insights(1.0, 2.0)) is None
    assert first_layer(insights(1.0), None) is None
    stored = {"activations": {f"network[{i}]": {"mean": 1.0} for i in (10, 9)}}
    other = {"activations": {f"network[{i}]": {"mean": 2.0} for i in (10, 9)}}
    assert first_layer(stored, other) == "network[9]"


def test_all_of_another_environment_is_named() -> None:
    other = job(attempts=[{"node": "b", "versions": {"numpy": "2.1"}}])
    said = other_environment(differences(job(), other))
    assert said == "the environments differ: node a | b, numpy 2.0 | 2.1"
    assert other_environment(differences(job(), job(status="failed"))) is None
