"""Programs: what tracing writes down, and machine code that gives NumPy's bits for it."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from core.nn.compile import kernels
from core.nn.compile.trace import BINARY, UNARY, Symbol, trace

ODD = [0.0, -0.0, 1.0, -1.5, 3e-39, -3e-39, 1e30, -1e30, np.inf, -np.inf, np.nan, 0.1, 7.25]


def every_pair(dtype: str) -> tuple[Any, Any]:
    x, y = np.meshgrid(np.array(ODD, dtype), np.array(ODD, dtype))
    return np.ascontiguousarray(x.reshape(1, -1)), np.ascontiguousarray(y.reshape(1, -1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("operation", BINARY + UNARY)
def test_each_operation_gives_numpys_numbers_for_odd_ones_too(operation: str, dtype: str) -> None:
    x, y = every_pair(dtype)
    given = (x, y)[: 2 if operation in BINARY else 1]
    with np.errstate(all="ignore"):
        expected = getattr(np, operation)(*given)

    def program(xp: Any, arrays: list[Symbol], _numbers: list[Symbol], _: list[Symbol]) -> None:
        getattr(xp, operation)(*arrays[: len(given)], out=arrays[2])

    out = np.empty_like(x)
    kernel = kernels.bind(trace(program, 3, 0, 0), [x, y, out], np.empty((1, 0), dtype))
    assert kernel is not None
    kernel()
    np.testing.assert_array_equal(out, expected)


def test_only_what_changed_is_stored_and_consumed_arrays_are_left() -> None:
    def program(xp: Any, a: list[Symbol], c: list[Symbol], t: list[Symbol]) -> None:
        xp.multiply(a[1], c[0], out=t[0])
        a[1] *= a[1]
        a[0] += t[0]

    program_ = trace(program, 3, 1, 1, consumed=(1,))
    assert [index for index, _ in program_.stores] == [0]
    assert [s.operation for s in program_.statements] == ["multiply", "multiply", "add"]
    a, b, c = np.ones((1, 9)), np.full((1, 9), 3.0), np.zeros((1, 9))
    kernel = kernels.bind(program_, [a, b, c], np.array([[2.0]]))
    assert kernel is not None
    kernel()
    assert a.tolist() == [[7.0] * 9]
    assert b.tolist() == [[3.0] * 9]


def test_rows_have_coefficients_of_their_own_and_constants_keep_their_precision() -> None:
    def program(_xp: Any, a: list[Symbol], c: list[Symbol], _t: list[Symbol]) -> None:
        a[0] *= c[0]
        a[0] += 0.1

    for dtype in ("float32", "float64"):
        whole = np.ones((3, 11), dtype)
        part = whole[:, 2:7]
        numbers = np.array([[1.0], [2.0], [3.0]], dtype)
        kernel = kernels.bind(trace(program, 1, 1, 0), [part], numbers)
        assert kernel is not None
        kernel()
        expected = np.ones((3, 11), dtype)
        expected[:, 2:7] = expected[:, 2:7] * numbers + 0.1
        np.testing.assert_array_equal(whole, expected)


def test_what_cannot_be_fused_says_so() -> None:
    def program(xp: Any, a: list[Symbol], _c: list[Symbol], _t: list[Symbol]) -> None:
        xp.exp(a[0], out=a[0])

    with pytest.raises(AttributeError, match="exp cannot be compiled"):
        trace(program, 1, 0, 0)


def test_scratch_is_written_before_it_is_read() -> None:
    def program(_xp: Any, a: list[Symbol], _c: list[Symbol], t: list[Symbol]) -> None:
        a[0] += t[0]

    with pytest.raises(ValueError, match="before it is written"):
        trace(program, 1, 0, 1)


def test_arrays_that_do_not_suit_are_left_to_array_calls() -> None:
    def program(_xp: Any, a: list[Symbol], _c: list[Symbol], _t: list[Symbol]) -> None:
        a[0] += a[1]

    known = trace(program, 2, 0, 0)
    none = np.empty((1, 0))
    a = np.zeros((2, 8))
    assert kernels.bind(known, [a, np.zeros((2, 8))], none) is not None
    assert kernels.bind(known, [a, np.zeros((2, 8), np.float32)], none) is None
    assert kernels.bind(known, [a, np.zeros((2, 16))[:, ::2]], none) is None
    assert kernels.bind(known, [a.astype(int), np.zeros((2, 8), int)], none) is None


def test_only_long_training_imports_llvm_and_its_absence_changes_nothing() -> None:
    code = """
import sys
import numpy as np
from core.nn.compile import kernels as fused
from core.nn.optimizer import Updater
from core.nn.optimizers.adam import Adam
def train(steps, fuse=None):
    w, g = np.ones(50), np.empty(50)
    updater = Updater(Adam(), np, w, fuse=fuse)
    for i in range(steps):
        g[:] = w - i % 5
        updater.update(g, 0.01)
    return w, updater
w, updater = train(100)
assert "llvmlite" not in sys.modules and not updater.fused
if "absent" in sys.argv:
    sys.modules["llvmlite"] = sys.modules["llvmlite.binding"] = None
w, updater = train(30_000)
assert (not updater.fused) == ("absent" in sys.argv)
print(w.tobytes().hex())
"""
    there = [
        subprocess.run(
            [sys.executable, "-c", code, *arguments],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ},
        ).stdout
        for arguments in ([], ["absent"])
    ]
    assert there[0] == there[1] != ""
