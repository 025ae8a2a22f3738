"""Values are put into JSON documents at paths."""

from typing import Any

import pytest

from chainrule.contract.paths import assigned

SPEC: dict[str, Any] = {
    "network": [{"kind": "dense", "units": 4}, "relu"],
    "optimizer": "adam",
    "epochs": 3,
}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("epochs", 5, {"epochs": 5}),
        ("loss", {"kind": "mse"}, {"loss": {"kind": "mse"}}),
        ("optimizer.learning_rate", 0.1, {"optimizer": {"kind": "adam", "learning_rate": 0.1}}),
        ("data.split.test", 0, {"data": {"split": {"test": 0}}}),
        ("network[0].units", 8, {"network": [{"kind": "dense", "units": 8}, "relu"]}),
        ("network[2]", 10, {"network": [*SPEC["network"], 10]}),
        ("metrics[0]", "accuracy", {"metrics": ["accuracy"]}),
    ],
)
def test_a_value_is_put_at_a_path(path: str, value: Any, expected: dict[str, Any]) -> None:
    before = repr(SPEC)
    assert assigned(SPEC, path, value) == {**SPEC, **expected}
    assert repr(SPEC) == before


@pytest.mark.parametrize("path", ["", "a..b", "epochs.x", "network[3]", "epochs[0]", "network.x"])
def test_a_path_that_leads_nowhere_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"path|there is no"):
        assigned(SPEC, path, 1)
