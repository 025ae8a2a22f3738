"""What a trained model can be asked, by what it was trained for."""

from typing import Any

import pytest

from core.data.table.schema import ColumnSchema, DatasetSchema
from core.errors import InvalidError
from core.spec import JobSpec
from core.spec.inference import ScoringSpec, check

HOMES = DatasetSchema(
    rows=9,
    columns=tuple(ColumnSchema(name=name, dtype="float64") for name in ("size", "price")),
)


@pytest.mark.parametrize(
    ("loss", "asked", "path"),
    [
        ("mean_squared_error", {"probabilities": True}, "probabilities"),
        ("cross_entropy", {"interval": 0.9}, "interval"),
    ],
)
def test_each_kind_of_model_says_how_sure_it_is_in_its_own_way(
    loss: str, asked: dict[str, Any], path: str
) -> None:
    trained = JobSpec.model_validate(
        {
            "experiment": "homes",
            "dataset": "homes@1",
            "data": {"target": "price"},
            "network": [{"kind": "dense", "units": 2}],
            "loss": {"kind": loss},
        }
    )
    with pytest.raises(InvalidError) as caught:
        check(ScoringSpec(dataset="homes@1", **asked), trained, HOMES, HOMES)
    assert [error.path for error in caught.value.errors] == [path]
    (other,) = {"probabilities", "interval"} - {path}
    check(
        ScoringSpec(dataset="homes@1", **{other: True if other == "probabilities" else 0.5}),
        trained,
        HOMES,
        HOMES,
    )
