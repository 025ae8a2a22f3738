"""How good a network is on rows it does not learn from."""

import math
from typing import Any

import numpy as np

from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.loss import SMALLEST, Loss
from core.nn.metric import Metric, Tally
from core.nn.network import BoundNetwork
from core.training.dataset.types import Part

NUMBERS = 2**20
"""Numbers of input a forward pass for evaluation takes at a time, at least one row."""


def evaluate(
    network: BoundNetwork, loss: Loss, metrics: tuple[Metric, ...], part: Part, scope: Scope
) -> dict[str, Array]:
    """Loss and metrics over all rows of `part`, each of shape `stack`; nothing is learned."""
    xp, stack = network.xp, network.stack
    total = xp.zeros(stack, np.float64)
    mass: Any = 0.0
    tallies = [Tally(metric, xp, stack) for metric in metrics]
    size = max(1, NUMBERS // max(1, math.prod(part.x.shape[1:]) * max(1, len(stack) and stack[0])))
    for start in range(0, len(part), size):
        rows = slice(start, min(start + size, len(part)))
        x = _shared(xp, xp.asarray(part.x[rows]), stack)
        target = _each(xp, part.y[rows], stack)
        count = x.shape[len(stack)]
        weight = xp.ones((*stack, count), network.dtype)
        if part.weight is not None:
            weight = _each(xp, part.weight[rows], stack)
        y, _ = network.forward(x)
        given = None if part.weight is None else weight
        value, _ = loss.forward(y, target, scope, given)
        # The mean of a single block is that of all rows, whatever it is weighted by.
        share = loss.mass(target, scope, given) if len(part) > size else weight.sum(axis=-1)
        total += value * share if loss.averages else value
        mass = mass + share
        outputs = loss.prediction(y, scope)
        truth = loss.observed(target)
        for tally in tallies:
            tally.add(outputs, truth, weight)
    found = {"loss": total / xp.maximum(mass, SMALLEST) if loss.averages else total}
    for tally in tallies:
        found.update(tally.numbers())
    return found


def _shared(xp: Any, array: Array, stack: tuple[int, ...]) -> Array:
    """The same rows for every network of a stack, without copying them."""
    return array if not stack else xp.broadcast_to(array, (*stack, *array.shape))


def _each(xp: Any, array: Array, stack: tuple[int, ...]) -> Array:
    """The same rows once for every network: sums over shared ones add up in another order."""
    return array if not stack else xp.ascontiguousarray(_shared(xp, array, stack))
