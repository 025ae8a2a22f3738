"""Loss and metrics of a network on rows it is not trained on."""

import math
from typing import Any, Protocol

import numpy as np

from core.nn.array import Array, Shape, to_host
from core.nn.layer import Scope
from core.nn.loss import SMALLEST, Loss
from core.nn.metric import Metric, Tally
from core.training.dataset_types import Part

NUMBERS = 2**20
"""Input numbers of one forward pass for evaluation; it takes at least one row."""


class Predictor(Protocol):
    """What is evaluated: a network, or a stack of networks."""

    xp: Any
    stack: Shape
    dtype: Any

    def forward(self, x: Array) -> tuple[Array, Any]:
        """The raw outputs for rows `x (*stack, rows, ...)`, and something unused."""


def evaluate(
    network: Predictor, loss: Loss, metrics: tuple[Metric, ...], part: Part, scope: Scope
) -> dict[str, Array]:
    """Loss and metrics over all rows of `part`, each of shape `stack`.

    The loss compares standardized targets, if the part has them; metrics are in the data's units.
    """
    xp, stack = network.xp, network.stack
    total = xp.zeros(stack, np.float64)
    mass: Any = 0.0
    tallies = [Tally(metric, xp, stack) for metric in metrics]
    size = max(1, NUMBERS // max(1, math.prod(part.x.shape[1:]) * max(1, len(stack) and stack[0])))
    for start in range(0, len(part), size):
        rows = slice(start, min(start + size, len(part)))
        x = _broadcast(xp, xp.asarray(part.x[rows]), stack)
        target = _copied(xp, part.y[rows], stack)
        count = x.shape[len(stack)]
        weight = xp.ones((*stack, count), network.dtype)
        if part.weight is not None:
            weight = _copied(xp, part.weight[rows], stack)
        y, _ = network.forward(x)
        sample_weight = None if part.weight is None else weight
        value, _ = loss.forward(y, target, scope, sample_weight)
        # The mean of a single block is that of all rows, whatever its weight.
        share = loss.mass(target, scope, sample_weight) if len(part) > size else weight.sum(axis=-1)
        total += value * share if loss.averages else value
        mass = mass + share
        outputs = part.in_units(loss.prediction(y, scope))
        truth = part.in_units(loss.observed(target))
        for tally in tallies:
            tally.add(outputs, truth, weight)
    results = {"loss": total / xp.maximum(mass, SMALLEST) if loss.averages else total}
    for tally in tallies:
        results.update(tally.numbers())
    return results


def by_network(values: Array) -> list[float]:
    """Return one float for each network, from an array of shape `stack`."""
    floats: list[float] = np.atleast_1d(to_host(values)).astype(float).tolist()
    return floats


def _broadcast(xp: Any, array: Array, stack: tuple[int, ...]) -> Array:
    """The same rows for every network of a stack, without copying them."""
    return array if not stack else xp.broadcast_to(array, (*stack, *array.shape))


def _copied(xp: Any, array: Array, stack: tuple[int, ...]) -> Array:
    """The rows copied for every network: sums over shared rows would add in another order."""
    return array if not stack else xp.ascontiguousarray(_broadcast(xp, array, stack))
