"""Predictions take bounded memory, whatever the network, and give it back."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

from core.training import model as module
from tests.core.export.models import model

WIDE: list[dict[str, Any]] = [{"kind": "dense", "units": 65_536}, {"kind": "relu"}]


def test_many_rows_through_a_wide_layer_take_bounded_memory() -> None:
    """All rows at once would take 4,000 * 131,072 numbers of 4 bytes: 2 GB."""
    wide = model({"a": (2,)}, loss="mean_squared_error", outputs=1, layers=WIDE)
    x = np.random.default_rng(0).normal(size=(4000, 2))
    tracemalloc.start()
    try:
        wide.outputs(x)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3 * 4 * module.MOST_NUMBERS
    assert kept < 2**20


def test_parts_of_rows_are_predicted_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    small = model({"a": (3,)}, loss="mean_squared_error", outputs=2, layers=WIDE[1:])
    x = np.random.default_rng(0).normal(size=(50, 3))
    whole = small.outputs(x)
    monkeypatch.setattr(module, "MOST_NUMBERS", 60)
    np.testing.assert_allclose(small.outputs(x), whole, rtol=1e-6)


def test_the_buffers_of_a_small_model_are_kept() -> None:
    small = model({"a": (3,)}, loss="mean_squared_error", outputs=2)
    small.outputs(np.zeros((5, 3)))
    assert any(scope.buffer_bytes for scope in small.network.all_scopes())
    small.network.release_buffers()
    assert not any(scope.buffer_bytes for scope in small.network.all_scopes())


@pytest.mark.parametrize(
    ("shape", "layers", "work", "numbers"),
    [
        ((3,), [{"kind": "relu"}], 3 * 2 + 2, 3 + 3 + 2),
        ((3,), [{"kind": "dense", "units": 5}], 3 * 5 + 5 + 5 * 2 + 2, 3 + 5 + 2),
        (
            (6, 6, 1),
            [{"kind": "conv2d", "filters": 4, "kernel": 3}, {"kind": "flatten"}],
            36 * (9 * 4 + 4) + 64 * 2 + 2,
            36 + 64 + 64 + 2,
        ),
        (
            (7,),
            [{"kind": "embedding", "vocabulary": 1000, "units": 3}, {"kind": "flatten"}],
            21 + 21 * 2 + 2,
            7 + 21 + 21 + 2,
        ),
    ],
    ids=["relu", "dense", "conv2d", "embedding"],
)
def test_arithmetic_of_a_row(
    shape: tuple[int, ...], layers: list[dict[str, Any]], work: int, numbers: int
) -> None:
    network = model(
        {"a": shape}, loss="mean_squared_error", outputs=2, layers=layers, shape=shape
    ).network
    assert network.work_per_row == work
    assert network.numbers_per_row == numbers
