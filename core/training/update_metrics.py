"""One update from outside: how large the gradient was, and the move beside the weights."""

from typing import Any

import numpy as np

from core.nn.array import Array


class Gauge:
    """Measures a single update of a network, or of each in a stack; reads only.

    `gradient_norm` is that of the batch's gradient before penalties and clipping; `update_ratio` is
    the norm of the move over the norm of the weights before it: around 0.001 is usual for training
    that goes well; `learning_rate` is the rate of the schedule at this update.
    """

    def __init__(self, xp: Any, weights: Array, gradients: Array) -> None:
        """To be made just before the update, with vectors `(*stack, size)`."""
        self._xp = xp
        self._weights = weights
        self._before = weights.copy()
        self._gradient_norm = _norm(xp, gradients)

    def metrics(self, rate: Any) -> dict[str, Array]:
        """The numbers by name, each of shape `stack`; to be asked for just after the update."""
        xp, stack = self._xp, self._weights.shape[:-1]
        moved = _norm(xp, self._weights - self._before)
        size = _norm(xp, self._before)
        # Where all weights are zero there is nothing to compare with: the move itself.
        ratio = moved / xp.where(size > 0, size, 1.0)
        rates = np.broadcast_to(np.asarray(rate, np.float64), (*stack, 1))[..., 0]
        return {
            "learning_rate": rates,
            "gradient_norm": self._gradient_norm,
            "update_ratio": ratio,
        }


def _norm(xp: Any, vector: Array) -> Array:
    """The root of the sum of squares along the last axis."""
    return xp.sqrt((vector * vector).sum(axis=-1))
