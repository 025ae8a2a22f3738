"""Trace elementwise arithmetic: run a function on symbols and record its operations.

An optimizer is a few lines of array arithmetic. Called once with `Symbol` objects instead of arrays
and a `Recorder` instead of the array library, it yields a `Program`: the same operations in the
same order for one number, which `core.nn.compile.kernels` compiles to one pass over memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum")
UNARY = ("sqrt", "absolute", "sign", "negative")
UNSET = "unset"
"""The value of a scratch array before it is written."""


@dataclass(frozen=True)
class Statement:
    """`target = operation(arguments)`; arguments are names of values, or constants."""

    target: str
    operation: str
    arguments: tuple[str | float, ...]


@dataclass(frozen=True)
class Program:
    """The operations of a function on its arrays.

    Array `i` is read as value `a<i>` and coefficient `i` as `c<i>`. `stores` pairs each changed
    array with the value stored to it. Arrays are `(rows, length)`; those in `every_row` are
    `(1, length)` and those in `every_column` are `(rows, 1)`, and broadcast. Hashable.
    """

    arrays: int
    coefficients: int
    statements: tuple[Statement, ...]
    stores: tuple[tuple[int, str], ...]
    every_row: frozenset[int] = frozenset()
    every_column: frozenset[int] = frozenset()

    def shape(self, array: int, rows: int, length: int) -> tuple[int, int]:
        """Return the shape of array number `array`, given rows and length."""
        return 1 if array in self.every_row else rows, 1 if array in self.every_column else length


@dataclass
class Recorder:
    """Takes the place of the array library: its functions record their calls."""

    statements: list[Statement] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        if name not in BINARY and name not in UNARY:
            raise AttributeError(
                f"{name} cannot be compiled; supported are {', '.join(BINARY + UNARY)}"
            )

        def operation(*arguments: Any, out: "Symbol | None" = None) -> "Symbol":
            return self.compute(name, arguments, out)

        return operation

    def compute(self, name: str, arguments: Sequence[Any], out: "Symbol | None") -> "Symbol":
        """Record one operation; return `out`, or a new symbol, with its result.

        Raises ValueError when an argument is an unwritten scratch array.
        """
        target = f"t{len(self.statements)}"
        if any(isinstance(a, Symbol) and a.value == UNSET for a in arguments):
            raise ValueError(f"{name} reads a scratch array before it is written")
        names = tuple(a.value if isinstance(a, Symbol) else float(a) for a in arguments)
        self.statements.append(Statement(target, name, names))
        if out is None:
            return Symbol(self, target)
        out.value = target
        return out


class Symbol:
    """Takes the place of an array or a coefficient: the name of its current value."""

    __array_ufunc__ = None  # NumPy scalars leave arithmetic with a symbol to it

    def __init__(self, recorder: Recorder, value: str) -> None:
        self.recorder = recorder
        self.value = value

    def _into(self, name: str, other: Any) -> "Symbol":
        return self.recorder.compute(name, (self, other), self)

    def __iadd__(self, other: Any) -> "Symbol":
        return self._into("add", other)

    def __isub__(self, other: Any) -> "Symbol":
        return self._into("subtract", other)

    def __imul__(self, other: Any) -> "Symbol":
        return self._into("multiply", other)

    def __itruediv__(self, other: Any) -> "Symbol":
        return self._into("divide", other)


def trace(
    function: Callable[[Any, list[Symbol], list[Symbol], list[Symbol]], None],
    arrays: int,
    coefficients: int,
    scratch: int,
    consumed: tuple[int, ...] = (),
) -> Program:
    """Trace `function(xp, arrays, coefficients, scratch)` with the given numbers of each.

    Scratch arrays must be written before they are read. Arrays whose indices are in `consumed` are
    read, but their final values are not stored.
    """
    recorder = Recorder()
    symbols = [Symbol(recorder, f"a{i}") for i in range(arrays)]
    numbers = [Symbol(recorder, f"c{i}") for i in range(coefficients)]
    function(recorder, symbols, numbers, [Symbol(recorder, UNSET) for _ in range(scratch)])
    stores = tuple(
        (i, symbol.value)
        for i, symbol in enumerate(symbols)
        if i not in consumed and symbol.value != f"a{i}"
    )
    return Program(arrays, coefficients, tuple(recorder.statements), stores)
