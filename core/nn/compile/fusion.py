"""Runs of elementwise calls on a tape, each as one pass of machine code instead of many calls."""

import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

from core.nn.array import Array
from core.nn.compile import kernels
from core.nn.compile.trace import BINARY, UNARY, Program, Statement

Call: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

NAMES: dict[Any, str] = {getattr(np, name): name for name in BINARY + UNARY}
NONE = np.empty((1, 0))


class Fusing:
    """The calls of a tape cut into runs that can be fused and single calls that cannot."""

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
        self._gain = kernels.Gain(
            sum(math.prod(run.shape) * len(run.statements) for run in runs),
            calls=sum(len(run.statements) for run in runs),
            programs=len(new),
        )
        self._any = bool(runs)

    def pays(self) -> bool:
        """Count one more play by array calls; True once fusing would have been worth it."""
        return self._any and self._gain.reached()

    def calls(self) -> list[Call]:
        """All calls in their order, the runs as passes wherever they can be compiled."""
        found: list[Call] = []
        for piece in self._pieces:
            found += piece.fused() if isinstance(piece, _Run) else [piece]
        return found


class _Run:
    """Elementwise calls one after the other whose results have one shape and dtype."""

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
        """What the calls do, to arrays in the order in which they were met."""
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
        """One call for all, or all of them where they cannot be compiled."""
        kernel = kernels.bind(self.program, self._arrays, NONE.astype(self.dtype))
        if kernel is None:
            return self._calls
        self.kernel = kernel  # kept for as long as its call may be made
        return [(*kernel.call(), {})]

    def take(self, call: Call) -> bool:
        """Add a call, unless it is none of this kind."""
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
        views = [_seen(one, out.shape, shape, out.dtype) for one in (out, *given)]
        if any(view is None for view in views) or not self._apart(views):
            return False
        self.shape, self.dtype = shape, out.dtype
        target, *arguments = [self._place(view) for view in views]
        names = tuple(a if isinstance(a, float) else self._values[a] for a in arguments)
        assert isinstance(target, int)
        self._values[target] = f"t{len(self.statements)}"
        self._changed.add(target)
        self.statements.append(Statement(self._values[target], name, names))
        self._calls.append(call)
        return True

    def _place(self, view: Any) -> int | float:
        """The number of an array, the same for the same memory; a constant itself."""
        if isinstance(view, float):
            return view
        for number, known in enumerate(self._arrays):
            if _same(known, view):
                return number
        self._arrays.append(view)
        self._values.append(f"a{len(self._arrays) - 1}")
        return len(self._arrays) - 1

    def _apart(self, views: list[Any]) -> bool:
        """Whether arrays are either the very same or share no memory."""
        together = [*self._arrays, *(view for view in views if not isinstance(view, float))]
        return all(
            _same(one, other) or not np.may_share_memory(one, other)
            for one in together
            for other in together
        )


def _same(one: Array, other: Array) -> bool:
    return one.shape == other.shape and one.ctypes.data == other.ctypes.data


def _seen(given: Any, full: Any, shape: tuple[int, int], dtype: Any) -> Any:
    """A float for a constant; an array `(rows, length)`, `(1, length)` or `(rows, 1)`; or None."""
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
