"""Confusion matrix."""

from typing import Any, ClassVar, Literal

import numpy as np

from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.measures.labels import by_class, indicators
from core.nn.metric import Metric


@member
class ConfusionMatrix(Metric):
    """Counts of each true class (row) and predicted class (column), `(*stack, classes, classes)`.

    A binary output has the classes 0 and 1; several outputs have one matrix each,
    `(*stack, outputs, 2, 2)`. The number `confusion_matrix/1/0` counts class 1 predicted as 0.
    """

    kind: Literal["confusion_matrix"] = "confusion_matrix"
    target: ClassVar[Literal["any"]] = "any"
    better: ClassVar[Literal["higher"]] = "higher"
    table: ClassVar[bool] = True
    EXAMPLES: ClassVar[Examples] = (({}, (4,)),)

    def numbers(self, result: Array, stack: Shape) -> dict[str, Array]:
        return {
            "/".join([self.name, *map(str, place)]): result[(..., *place)]
            for place in np.ndindex(result.shape[len(stack) :])
        }

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        mass = weight.astype(xp.float64)[..., None]
        predicted, true = indicators(xp, outputs, target, weight)
        if by_class(outputs, target):
            return {"counts": (true * mass).swapaxes(-1, -2) @ predicted}
        cells = [
            ((true if row else 1 - true) * (predicted if column else 1 - predicted) * mass).sum(
                axis=-2
            )
            for row in (0, 1)
            for column in (0, 1)
        ]
        table = xp.stack(cells, axis=-1)
        table = table.reshape(*table.shape[:-1], 2, 2)
        return {"counts": table[..., 0, :, :] if table.shape[-3] == 1 else table}

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return total["counts"]
