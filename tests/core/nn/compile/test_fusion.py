"""Runs of calls on a tape as passes of machine code: NumPy's bits, and nothing else changed."""

from typing import Any

import numpy as np
import pytest

from core.nn.compile.fusion import Call, Fusion
from core.nn.compile.trace import BINARY, UNARY

ODD = [0.0, -0.0, 1.0, -1.5, 3e-39, -3e-39, 1e30, -1e30, np.inf, -np.inf, np.nan, 0.1, 7.25]


def numbers(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Any:
    """Numbers with all odd ones among them, where there is room."""
    rng = np.random.default_rng(seed)
    found = rng.normal(size=shape).astype(dtype)
    places = rng.permutation(found.size)[: len(ODD)]
    found.reshape(-1)[places] = np.array(ODD, dtype)[: len(places)]
    return found


def bits(calls: list[Call], arrays: list[Any]) -> list[bytes]:
    """All arrays after the calls; they are put back as they were."""
    before = [array.copy() for array in arrays]
    with np.errstate(all="ignore"):
        for function, given, options in calls:
            function(*given, **options)
    found = [array.tobytes() for array in arrays]
    for array, old in zip(arrays, before, strict=True):
        array[...] = old
    return found


def fuses(calls: list[Call], arrays: list[Any], passes: int) -> None:
    """The calls become so many and leave the same bits in all arrays."""
    fused = Fusion(calls).calls()
    assert len(fused) == passes
    assert bits(fused, arrays) == bits(calls, arrays)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("operation", BINARY)
def test_whole_arrays_rows_columns_and_constants(operation: str, dtype: str) -> None:
    call = getattr(np, operation)
    whole, other = numbers((9, 31), dtype), numbers((9, 31), dtype, 1)
    outs = [np.zeros((9, 31), dtype) for _ in range(6)]
    row, column = numbers((1, 31), dtype, 2), numbers((9, 1), dtype, 3)
    flat = np.ascontiguousarray(row[0])
    pairs = [(whole, other), (whole, row), (column, whole), (flat, whole), (whole, 0), (0.1, whole)]
    calls = [(call, pair, {"out": out}) for pair, out in zip(pairs, outs, strict=True)]
    fuses(calls, [whole, other, row, column, flat, *outs], passes=1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("operation", UNARY)
def test_operations_on_one_array_in_place(operation: str, dtype: str) -> None:
    x = numbers((4, 17), dtype)
    fuses([(getattr(np, operation), (x,), {"out": x})], [x], passes=1)


def test_a_chain_reads_what_it_wrote() -> None:
    x, y, z = (numbers((2, 3, 8), "float32", seed) for seed in range(3))
    calls: list[Call] = [
        (np.subtract, (1, y), {"out": x}),
        (np.multiply, (x, y), {"out": x}),
        (np.multiply, (x, z), {"out": z}),
        (np.add, (z, x), {"out": y}),
    ]
    fuses(calls, [x, y, z], passes=1)


def test_what_is_no_elementwise_call_stands_between_runs() -> None:
    x, y, total = numbers((4, 4), "float32"), np.empty((4, 4), "float32"), np.empty(4, "float32")
    calls: list[Call] = [
        (np.multiply, (x, 2), {"out": y}),
        (np.add, (y, 1), {"out": y}),
        (np.add.reduce, (y,), {"axis": -1, "out": total}),
        (np.exp, (y,), {"out": y}),
        (np.multiply, (total, 0.5), {"out": total}),
        (np.multiply, (y, total), {"out": y}),  # another shape: a run of its own
    ]
    fuses(calls, [x, y, total], passes=5)


def test_memory_that_overlaps_is_never_in_one_pass() -> None:
    memory = numbers((65,), "float64")
    x, y = memory[:64].reshape(8, 8), memory[1:].reshape(8, 8)
    calls: list[Call] = [(np.multiply, (x, 2), {"out": x}), (np.add, (y, 1), {"out": y})]
    fuses(calls, [memory], passes=2)
    row = x[:1]
    fuses([(np.add, (x, row), {"out": x})], [memory], passes=1)
    assert Fusion([(np.add, (x, row), {"out": x})]).calls()[0][0] is np.add


@pytest.mark.parametrize(
    ("given", "out"),
    [
        (np.ones((3, 4), "int64"), np.ones((3, 4), "int64")),
        (np.ones((3, 4), "float64"), np.ones((3, 4), "float32")),
        (np.ones((4, 3)).T, np.ones((3, 4))),
        (np.ones((3, 1, 4)), np.ones((3, 2, 4))),
        (np.ones(()), np.ones(())),
        (np.ones((0, 4)), np.ones((0, 4))),
    ],
    ids=["whole numbers", "another dtype", "transposed", "a row for each", "one number", "empty"],
)
def test_what_machine_code_cannot_do_stays_a_call(given: Any, out: Any) -> None:
    call: Call = (np.add, (given, 1), {"out": out, "casting": "unsafe"})
    assert Fusion([call]).calls() == [call]
    call = (np.add, (given, 1.0), {"out": out})
    assert Fusion([call]).calls()[0][0] is np.add


def test_it_pays_after_so_many_plays_and_never_without_a_run() -> None:
    x = np.ones((4, 4))
    assert not any(Fusion([(np.exp, (x,), {"out": x})]).pays() for _ in range(1_000))
    calls: list[Call] = [(np.add, (x, 1.0), {"out": x}), (np.multiply, (x, 0.3), {"out": x})]
    assert not Fusion(calls).pays()
    waiting = Fusion(calls)
    assert any(waiting.pays() for _ in range(1_000_000))
