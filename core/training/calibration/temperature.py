"""Temperature scaling of classifiers (Guo et al. 2017, "On calibration of modern neural networks").

Logits are divided by one number, the temperature, that minimises the log loss of held-out rows. The
last layer is linear, so dividing its weights does it: predictions, metrics and exported models need
no further step, and no answer changes.

A few rows may all be answered rightly; then a network could never be too sure. As in Platt's
"Probabilistic outputs for support vector machines" (1999), the target of the right class is
therefore less than 1: it is as if there were one more row, which has each class in equal parts.
"""

import math

import numpy as np
from numpy.typing import NDArray

from core.nn.array import Array, to_host
from core.training.dataset_types import Part
from core.training.evaluation import NUMBERS
from core.training.trainer import Trainer

LOWEST, HIGHEST = 0.05, 20.0
"""The temperatures to choose from."""
MOST_NUMBERS = 2**22
"""The most logits that are looked at; the first rows are."""
_HALVINGS = 60

Floats = NDArray[np.float64]


def scale(trainer: Trainer, part: Part) -> list[float]:
    """Divide the logits of each network in a stack by its temperature on `part`; return these.

    The weights of the last layer, a dense one, change in place.
    """
    logits = _logits(trainer, part)
    target = np.asarray(part.y[: logits.shape[1]])
    weight = None if part.weight is None else np.asarray(part.weight[: logits.shape[1]], np.float64)
    binary = trainer.spec.loss.target == "binary"
    temperatures = [best_temperature(y, target, weight, binary=binary) for y in logits]
    divisors = trainer.xp.asarray(np.array(temperatures, trainer.network.dtype))
    last = f"[{len(trainer.spec.layers) - 1}]"
    for path, view in trainer.network.views.items():
        if path.startswith(last):
            axes = view.ndim - len(trainer.network.stack)
            shaped = divisors.reshape(*trainer.network.stack, *[1] * axes)
            trainer.xp.divide(view, shaped, out=view)
    return temperatures


def best_temperature(
    logits: Floats, target: Array, weight: Floats | None = None, *, binary: bool
) -> float:
    """The temperature with the smallest log loss for `logits (rows, outputs)`.

    The log loss is convex in the inverse of the temperature, so its slope is bisected. `target` has
    the class of each row, or with `binary` a zero or one for each output. With n rows and k classes
    the right class has a target of `(n + 1 / k) / (n + 1)`, the others share the rest.
    """
    rows = len(logits)
    if binary:
        target = (rows * target.reshape(logits.shape) + 0.5) / (rows + 1)
        goal = (target * logits).sum(axis=-1)
    else:
        logits = logits - logits.max(axis=-1, keepdims=True)
        right = logits[np.arange(rows), target.reshape(-1).astype(np.int64)]
        goal = (rows * right + logits.mean(axis=-1)) / (rows + 1)
    low, high = math.log(1 / HIGHEST), math.log(1 / LOWEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        excess = _expected(math.exp(middle), logits, binary=binary) - goal
        if (excess if weight is None else excess * weight).sum() > 0:
            high = middle
        else:
            low = middle
    return math.exp(-(low + high) / 2)


def _expected(factor: float, logits: Floats, *, binary: bool) -> Floats:
    """The logit of each row that its probabilities expect, if `factor` multiplies the logits.

    With `binary` it is the sum over outputs. Minus the logit of the target, this is the derivative
    of the log loss by the factor.
    """
    if binary:
        ones: Floats = 0.5 * (1 + np.tanh(0.5 * factor * logits))
        return (ones * logits).sum(axis=-1)
    shares: Floats = np.exp(factor * logits)
    return (shares * logits).sum(axis=-1) / shares.sum(axis=-1)


def _logits(trainer: Trainer, part: Part) -> Floats:
    """The raw outputs of each network for the first rows: `(networks, rows, outputs)`."""
    network, xp = trainer.network, trainer.xp
    networks = max(1, math.prod(network.stack))
    rows = min(len(part), max(1, MOST_NUMBERS // math.prod(network.output_shape)))
    size = max(1, NUMBERS // max(1, math.prod(part.x.shape[1:]) * networks))
    blocks: list[Floats] = []
    for start in range(0, rows, size):
        x = xp.asarray(part.x[start : min(start + size, rows)])
        if network.stack:
            x = xp.broadcast_to(x, (*network.stack, *x.shape))
        y = to_host(network.forward(x)[0]).astype(np.float64)
        blocks.append(y.reshape(networks, -1, y.shape[-1]))
    return np.concatenate(blocks, axis=1)
