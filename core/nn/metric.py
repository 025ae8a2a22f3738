"""The metric interface: a number to report, exact over a whole epoch."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Self

from core.family import Family
from core.nn.array import Array, Shape


class Metric(Family):
    """Base of metrics: batches are measured and accumulated, then give one number per network.

    `target` is the kind of targets it reads, as in `Loss`; `any` means `class` and `binary`.
    `better` is the direction of improvement.
    """

    target: ClassVar[Literal["class", "binary", "number", "any"]]
    better: ClassVar[Literal["higher", "lower"]]
    table: ClassVar[bool] = False
    """Whether it is several numbers, which cannot rank epochs."""

    @classmethod
    def reads(cls, kind: str) -> bool:
        """Whether it reads targets of this kind."""
        return kind == cls.target or (cls.target == "any" and kind in {"class", "binary"})

    @property
    def name(self) -> str:
        """The name in reports."""
        return str(self.kind)

    @abstractmethod
    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        """Measure one batch; return named arrays that begin with the stack axes.

        `outputs` are predictions (probabilities or numbers) `(*stack, batch, ...)`, `weight` is
        `(*stack, batch)`. The arrays of all batches are summed, except those whose name begins with
        `all_`: these are `(*stack, batch, ...)` and concatenated along the batch axis.
        """

    @abstractmethod
    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        """Return the metric, float64 of shape `stack`, from the accumulated arrays."""

    def numbers(self, result: Array, stack: Shape) -> dict[str, Array]:
        """Split a result into named numbers of shape `stack`: one, or several for a table."""
        return {self.name: result}

    @classmethod
    def examples(cls) -> Iterator[tuple[Self, Shape]]:
        """Yield members to test, each with an output shape."""
        return ((cls(**fields), shape) for fields, shape in cls.EXAMPLES)


class Tally:
    """Accumulates the measurements of one metric over an epoch."""

    def __init__(self, metric: Metric, xp: Any, stack: Shape) -> None:
        self.metric = metric
        self._xp = xp
        self._stack = stack
        self._sums: dict[str, Array] = {}
        self._parts: dict[str, list[Array]] = {}

    def add(self, outputs: Array, target: Array, weight: Array) -> None:
        """Measure one batch."""
        for name, value in self.metric.measure(self._xp, outputs, target, weight).items():
            if name.startswith("all_"):
                self._parts.setdefault(name, []).append(value.copy())
            else:
                self._sums[name] = self._sums[name] + value if name in self._sums else value

    def state(self) -> dict[str, Array]:
        """Return the accumulated arrays by name, for a checkpoint."""
        return {**self._sums, **self._joined()}

    def restore(self, state: dict[str, Array]) -> None:
        """Continue from arrays that `state` returned."""
        self._sums = {n: value for n, value in state.items() if not n.startswith("all_")}
        self._parts = {n: [value] for n, value in state.items() if n.startswith("all_")}

    def result(self) -> Array:
        """Return the metric over all batches added so far, shape `stack`."""
        return self.metric.result(self._xp, self.state())

    def numbers(self) -> dict[str, Array]:
        """Return the result as named numbers, each of shape `stack`."""
        return self.metric.numbers(self.result(), self._stack)

    def _joined(self) -> dict[str, Array]:
        return {
            name: self._xp.concatenate(parts, axis=len(self._stack))
            for name, parts in self._parts.items()
        }
