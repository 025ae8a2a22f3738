"""What a metric is: a number that people read, exact over a whole epoch."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from core.family import Family
from core.nn.array import Array, Shape


class Metric(Family):
    """Sums what each batch adds, then makes one number a network of it.

    `target` is the kind of targets it reads, as in `Loss`; `any` reads classes and booleans alike.
    `better` says which way is good.
    """

    target: ClassVar[Literal["class", "binary", "number", "any"]]
    better: ClassVar[Literal["higher", "lower"]]
    table: ClassVar[bool] = False
    """Is many numbers, so that no epoch is better by it than another."""

    @classmethod
    def reads(cls, kind: str) -> bool:
        """Whether targets of this kind make sense to it."""
        return kind == cls.target or (cls.target == "any" and kind in {"class", "binary"})

    @property
    def name(self) -> str:
        """How it is called in reports."""
        return str(self.kind)

    @abstractmethod
    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        """What a batch adds: arrays that begin with the stack axes.

        `outputs` are predictions (probabilities or numbers) `(*stack, batch, ...)`, `weight` is
        `(*stack, batch)`. Arrays of different batches are summed; those whose name begins with
        `all_` are shaped `(*stack, batch, ...)` and joined along the batch instead.
        """

    @abstractmethod
    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        """The metric, shape `stack`, from everything measured; float64."""

    def numbers(self, result: Array, stack: Shape) -> dict[str, Array]:
        """A result as named numbers of shape `stack`: one, but for metrics that are tables."""
        return {self.name: result}

    @classmethod
    @abstractmethod
    def examples(cls) -> Iterator[tuple["Metric", Shape]]:
        """Members worth testing, each with an output shape."""


class Tally:
    """Gathers what one metric measures over an epoch."""

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
        """What was measured so far, by name, for a checkpoint."""
        return {**self._sums, **self._joined()}

    def restore(self, state: dict[str, Array]) -> None:
        """Go on from what `state` gave."""
        self._sums = {n: value for n, value in state.items() if not n.startswith("all_")}
        self._parts = {n: [value] for n, value in state.items() if n.startswith("all_")}

    def result(self) -> Array:
        """The metric over all batches added so far, shape `stack`."""
        return self.metric.result(self._xp, self.state())

    def numbers(self) -> dict[str, Array]:
        """The result as named numbers, each of shape `stack`."""
        return self.metric.numbers(self.result(), self._stack)

    def _joined(self) -> dict[str, Array]:
        return {
            name: self._xp.concatenate(parts, axis=len(self._stack))
            for name, parts in self._parts.items()
        }
