"""Writing down elementwise arithmetic: run a function on stand-ins and keep what it computed.

An optimizer is a few lines of array arithmetic. Run once on `Stand` objects in place of arrays,
with a `Recorder` in place of the array library, it leaves a `Program`: the same operations in the
same order, one number at a time, which `core.nn.compile.kernels` turns into one pass over memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum")
UNARY = ("sqrt", "absolute", "sign", "negative")
UNSET = "unset"
"""What a scratch array holds before it was written."""


@dataclass(frozen=True)
class Statement:
    """`target = operation(arguments)`; arguments are names of values, or constants."""

    target: str
    operation: str
    arguments: tuple[str | float, ...]


@dataclass(frozen=True)
class Program:
    """What a function did to its arrays.

    Array `i` is read as value `a<i>` and coefficient `i` as `c<i>`; `stores` names, for every
    array that ended with a new content, the value it ends with. Arrays are `(rows, length)`, but
    for those in `every_row`, `(1, length)`, and in `every_column`, `(rows, 1)`, which are read
    again for each. Hashable: equal programs are one.
    """

    arrays: int
    coefficients: int
    statements: tuple[Statement, ...]
    stores: tuple[tuple[int, str], ...]
    every_row: frozenset[int] = frozenset()
    every_column: frozenset[int] = frozenset()

    def shape(self, array: int, rows: int, length: int) -> tuple[int, int]:
        """The shape that an array has where whole ones are `(rows, length)`."""
        return 1 if array in self.every_row else rows, 1 if array in self.every_column else length


@dataclass
class Recorder:
    """Stands for the array library: its functions write down what they are asked to do."""

    statements: list[Statement] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        if name not in BINARY and name not in UNARY:
            raise AttributeError(f"{name} cannot be fused; there are {', '.join(BINARY + UNARY)}")

        def operation(*arguments: Any, out: "Stand | None" = None) -> "Stand":
            return self.compute(name, arguments, out)

        return operation

    def compute(self, name: str, arguments: Sequence[Any], out: "Stand | None") -> "Stand":
        """Write one operation down; `out` (or a new stand-in) now has its result."""
        target = f"t{len(self.statements)}"
        if any(isinstance(a, Stand) and a.value == UNSET for a in arguments):
            raise ValueError(f"{name} reads a scratch array before it was written")
        names = tuple(a.value if isinstance(a, Stand) else float(a) for a in arguments)
        self.statements.append(Statement(target, name, names))
        if out is None:
            return Stand(self, target)
        out.value = target
        return out


class Stand:
    """Stands for an array or a coefficient: knows only the name of the value it has now."""

    __array_ufunc__ = None  # NumPy numbers then leave arithmetic with a stand-in to it

    def __init__(self, recorder: Recorder, value: str) -> None:
        self.recorder = recorder
        self.value = value

    def _into(self, name: str, other: Any) -> "Stand":
        return self.recorder.compute(name, (self, other), self)

    def __iadd__(self, other: Any) -> "Stand":
        return self._into("add", other)

    def __isub__(self, other: Any) -> "Stand":
        return self._into("subtract", other)

    def __imul__(self, other: Any) -> "Stand":
        return self._into("multiply", other)

    def __itruediv__(self, other: Any) -> "Stand":
        return self._into("divide", other)


def trace(
    function: Callable[[Any, list[Stand], list[Stand], list[Stand]], None],
    arrays: int,
    coefficients: int,
    scratch: int,
    consumed: tuple[int, ...] = (),
) -> Program:
    """What `function(xp, arrays, coefficients, scratch)` does, for so many of each.

    The content of scratch arrays is forgotten: it must be written before it is read. So is that of
    the arrays whose numbers are in `consumed`: they are read, but what ends in them is not stored.
    """
    recorder = Recorder()
    stands = [Stand(recorder, f"a{i}") for i in range(arrays)]
    numbers = [Stand(recorder, f"c{i}") for i in range(coefficients)]
    function(recorder, stands, numbers, [Stand(recorder, UNSET) for _ in range(scratch)])
    stores = tuple(
        (i, stand.value)
        for i, stand in enumerate(stands)
        if i not in consumed and stand.value != f"a{i}"
    )
    return Program(arrays, coefficients, tuple(recorder.statements), stores)
