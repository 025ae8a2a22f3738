"""Compile runs of elementwise calls on a tape to one pass of machine code each."""

import math
from collections.abc import Callable, Iterable
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np

from core.nn.array import Array
from core.nn.compile import kernels
from core.nn.compile.trace import BINARY, UNARY, Program, Statement

Call: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

NAMES: dict[Any, str] = {getattr(np, name): name for name in BINARY + UNARY}
NO_COEFFICIENTS = np.empty((1, 0))


class Fusion:
    """The calls of a tape, split into runs that can be compiled and calls that cannot."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self._pieces: list[_Run | Call] = []
        for call in calls:
            last = self._pieces[-1] if self._pieces else None
            if isinstance(last, _Run) and last.take(call):
                continue
            run = _Run()
            self._pieces.append(run if run.take(call) else call)
        runs = [piece for piece in self._pieces if isinstance(piece, _Run)]
        new = {run.program for run in runs if not kernels.is_compiled(run.program, run.dtype)}
        self._break_even = kernels.BreakEven(
            sum(math.prod(run.shape) * len(run.statements) for run in runs),
            calls=sum(len(run.statements) for run in runs),
            programs=len(new),
        )
        self._any = bool(runs)

    def pays(self) -> bool:
        """Count one play by array calls; True once compiling would have saved time."""
        return self._any and self._break_even.reached()

    def calls(self) -> list[Call]:
        """Return all calls in order, with one call for each run that can be compiled."""
        calls: list[Call] = []
        for piece in self._pieces:
            calls += piece.fused() if isinstance(piece, _Run) else [piece]
        return calls


class _Run:
    """Consecutive elementwise calls whose results have one shape and dtype."""

    def __init__(self) -> None:
        self.shape: tuple[int, int] = (0, 0)
        self.dtype: Any = None
        self.statements: list[Statement] = []
        self._calls: list[Call] = []
        self._arrays: list[Array] = []
        self._values: list[str] = []
        self._changed: set[int] = set()
        self.kernel: kernels.Kernel | None = None

    @property
    def program(self) -> Program:
        """The program of the calls; its arrays are in the order of their first use."""
        rows, length = self.shape
        numbers = range(len(self._arrays))
        whole = [self._arrays[i].shape == self.shape for i in numbers]
        return Program(
            arrays=len(self._arrays),
            coefficients=0,
            statements=tuple(self.statements),
            stores=tuple((i, self._values[i]) for i in sorted(self._changed)),
            every_row=frozenset(
                i for i in numbers if not whole[i] and self._arrays[i].shape == (1, length)
            ),
            every_column=frozenset(
                i for i in numbers if not whole[i] and self._arrays[i].shape == (rows, 1)
            ),
        )

    def fused(self) -> list[Call]:
        """Return one call that replaces all, or all calls if they cannot be compiled."""
        kernel = kernels.bind(self.program, self._arrays, NO_COEFFICIENTS.astype(self.dtype))
        if kernel is None:
            return self._calls
        self.kernel = kernel  # must live as long as its call is used
        return [(*kernel.call(), {})]

    def take(self, call: Call) -> bool:
        """Add a call and return True, or return False if it cannot be part of this run."""
        function, given, options = call
        name = NAMES.get(function) if isinstance(function, np.ufunc) else None
        out = options.get("out")
        if name is None or not isinstance(out, np.ndarray) or len(options) != 1:
            return False
        if out.dtype.name not in kernels.TYPES or out.size == 0 or out.ndim == 0:
            return False
        shape = (out.size // out.shape[-1], out.shape[-1])
        if self._calls and (shape != self.shape or out.dtype != self.dtype):
            return False
        views = [_operand(value, out.shape, shape, out.dtype) for value in (out, *given)]
        if any(view is None for view in views) or not self._disjoint(views):
            return False
        self.shape, self.dtype = shape, out.dtype
        target, *arguments = [self._index(view) for view in views]
        names = tuple(a if isinstance(a, float) else self._values[a] for a in arguments)
        assert isinstance(target, int)
        self._values[target] = f"t{len(self.statements)}"
        self._changed.add(target)
        self.statements.append(Statement(self._values[target], name, names))
        self._calls.append(call)
        return True

    def _index(self, view: Any) -> int | float:
        """The index of an array, the same for the same memory; a constant is returned as it is."""
        if isinstance(view, float):
            return view
        for index, array in enumerate(self._arrays):
            if _same(array, view):
                return index
        self._arrays.append(view)
        self._values.append(f"a{len(self._arrays) - 1}")
        return len(self._arrays) - 1

    def _disjoint(self, views: list[Any]) -> bool:
        """Whether any two arrays are either identical or share no memory."""
        arrays = [*self._arrays, *(view for view in views if not isinstance(view, float))]
        return all(
            _same(first, second) or not np.may_share_memory(first, second)
            for first, second in combinations(arrays, 2)
        )


def _same(first: Array, second: Array) -> bool:
    return first.shape == second.shape and first.ctypes.data == second.ctypes.data


def _operand(given: Any, full: Any, shape: tuple[int, int], dtype: Any) -> Any:
    """Return a constant as a float and an array as a view that a kernel reads, or None.

    The view is `(rows, length)`, `(1, length)` or `(rows, 1)`, where `shape = (rows, length)` is
    the shape `full` with all axes but the last joined.
    """
    if isinstance(given, float | int):
        return float(given)
    if not isinstance(given, np.ndarray) or given.dtype != dtype or not given.flags.c_contiguous:
        return None
    if given.shape == full:
        return given.reshape(shape)
    if given.ndim and given.shape[-1] == shape[1] == given.size:
        return given.reshape(1, shape[1])
    if given.shape == (*full[:-1], 1):
        return given.reshape(shape[0], 1)
    return None
