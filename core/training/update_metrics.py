"""Metrics of one update: the norm of the gradient and the size of the change of the weights."""

from typing import Any

import numpy as np

from core.nn.array import Array


class UpdateMetrics:
    """Measures one update of a network, or of each in a stack; changes nothing.

    `gradient_norm` is the norm of the batch's gradient before penalties and clipping.
    `update_ratio` is the norm of the update over the norm of the weights before it; around 0.001 is
    usual when training goes well. `learning_rate` is the scheduled rate at this update.
    """

    def __init__(self, xp: Any, weights: Array, gradients: Array) -> None:
        """Create it just before the update, with vectors `(*stack, size)`."""
        self._xp = xp
        self._weights = weights
        self._before = weights.copy()
        self._gradient_norm = _norm(xp, gradients)

    def after(self, rate: Any) -> dict[str, Array]:
        """The metrics by name, each of shape `stack`; call it just after the update."""
        xp, stack = self._xp, self._weights.shape[:-1]
        change = _norm(xp, self._weights - self._before)
        size = _norm(xp, self._before)
        # Where all weights are zero there is nothing to compare with: the update itself.
        ratio = change / xp.where(size > 0, size, 1.0)
        rates = np.broadcast_to(np.asarray(rate, np.float64), (*stack, 1))[..., 0]
        return {"learning_rate": rates, "gradient_norm": self._gradient_norm, "update_ratio": ratio}


def _norm(xp: Any, vector: Array) -> Array:
    """The root of the sum of squares along the last axis."""
    return xp.sqrt((vector * vector).sum(axis=-1))
