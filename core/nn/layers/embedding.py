"""Embedding of integer ids."""

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le

from core.errors import InvalidError
from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.initializers import Initializer, Normal
from core.nn.layer import Backprop, Layer, Scope, Weight


@member
class Embedding(Layer):
    """`y = weight[x]`: a learned vector for each id from 0 to `vocabulary - 1`.

    `dweight[id] = sum of dy where x = id`; dx is 0. Raises InvalidError for other ids. Bengio et
    al., "A Neural Probabilistic Language Model" (2003).
    """

    kind: Literal["embedding"] = "embedding"
    vocabulary: Annotated[int, Ge(1), Le(100_000_000)]
    units: Annotated[int, Ge(1), Le(1_000_000)]
    weight_initializer: Initializer = Normal(deviation=1.0)
    EXAMPLES: ClassVar[Examples] = (
        ({"vocabulary": 5, "units": 3}, (4,)),
        ({"vocabulary": 3, "units": 2}, ()),
    )

    def output(self, shape: Shape) -> Shape:
        return (*shape, self.units)

    def weights(self, shape: Shape) -> dict[str, Weight]:
        size = (self.vocabulary, self.units)
        return {"weight": Weight(size, self.weight_initializer, *size)}

    def work(self, shape: Shape) -> int:
        return math.prod(self.output(shape))

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        ids = xp.rint(x)
        if not ((ids >= 0) & (ids < self.vocabulary)).all():
            raise InvalidError(
                f"embedding takes ids from 0 to {self.vocabulary - 1}, but the features hold other "
                "values (set data.standardize to false)"
            )
        # One table for all networks of the stack.
        networks = int(np.prod(scope.stack))
        table = scope.weights["weight"].reshape(networks * self.vocabulary, self.units)
        offset = xp.arange(networks).reshape(-1, 1) * self.vocabulary
        index = (ids.astype(np.int64).reshape(networks, -1) + offset).reshape(-1)
        y = xp.take(table, index, axis=0)

        def backprop(dy: Array) -> Array | None:
            total = scope.buffer("total", (networks * self.vocabulary * self.units,))
            total[...] = 0
            # NumPy adds at flat indices much faster than at rows.
            flat = index.reshape(-1, 1) * self.units + xp.arange(self.units)
            xp.add.at(total, flat.reshape(-1), dy.reshape(-1))
            gradient = scope.gradients["weight"]
            gradient[...] = total.reshape(gradient.shape)
            if not scope.input_gradient:
                return None
            dx = scope.buffer("dx", x.shape)
            dx[...] = 0
            return dx

        return y.reshape(*x.shape, self.units), backprop

    def sample(self, rng: np.random.Generator, shape: Shape) -> Array:
        return rng.integers(self.vocabulary, size=shape).astype(np.float64)
