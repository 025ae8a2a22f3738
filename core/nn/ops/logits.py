"""From raw outputs to probabilities and their logarithms, without overflow or lost digits."""

import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Len

from core.nn.array import Array, Shape
from core.nn.layer import Scope, ShapeError

ClassWeights: TypeAlias = (
    Annotated[tuple[Annotated[float, Ge(0)], ...], Len(1)] | Literal["balanced"] | None
)
"""How much each class counts; `balanced`: by how rare it is among the training rows."""


FEW = 4
"""So few classes are added up one after the other: a reduction would take longer for each row."""

ROWS = 64
"""From so many rows for each class on, the largest is found class by class."""


def _largest(y: Array, xp: ModuleType) -> Array:
    """The largest score of each row, `(..., 1)`."""
    classes = y.shape[-1]
    if classes > FEW and y.size < ROWS * classes * classes:
        return y.max(axis=-1, keepdims=True)
    return _by_class(xp.maximum, y)


def _total(e: Array, xp: ModuleType) -> Array:
    """The sum of each row, `(..., 1)`. The order depends on nothing but the number of classes."""
    return e.sum(axis=-1, keepdims=True) if e.shape[-1] > FEW else _by_class(xp.add, e)


def _by_class(operation: Any, y: Array) -> Array:
    """`y[..., 0]`, then `y[..., 1]` and so on taken together, `(..., 1)`."""
    found: Array = operation(y[..., :1], y[..., 1:2]) if y.shape[-1] > 1 else +y
    for number in range(2, y.shape[-1]):
        operation(found, y[..., number : number + 1], out=found)
    return found


def exponentials(y: Array, scope: Scope) -> tuple[Array, Array, Array]:
    """`z = y - max(y)`, `exp(z)` and its sum over classes `(..., 1)`, the first two in buffers.

    `log softmax(y) = z - log(sum)` and `softmax(y) = exp(z) / sum`.
    """
    xp = scope.xp
    z = xp.subtract(y, _largest(y, xp), out=scope.buffer("z", y.shape))
    e = xp.exp(z, out=scope.buffer("dy", y.shape))
    return z, e, _total(e, xp)


def softmax(y: Array, scope: Scope) -> Array:
    """Probabilities of the classes, a fresh array."""
    p = scope.xp.exp(y - _largest(y, scope.xp))
    p /= _total(p, scope.xp)
    return p


def sigmoid(y: Array, scope: Scope, out: Array | None = None) -> Array:
    """`1 / (1 + exp(-y))` by the hyperbolic tangent, which never overflows."""
    p = scope.xp.multiply(y, 0.5, out=out)
    scope.xp.tanh(p, out=p)
    p += 1
    p *= 0.5
    return p


def softplus(y: Array, scope: Scope, out: Array) -> Array:
    """`log(1 + exp(-|y|))`, written to `out`.

    Plus `max(y, 0)` it is softplus of y, plus `max(-y, 0)` softplus of -y.
    """
    xp = scope.xp
    xp.abs(y, out=out)
    xp.negative(out, out=out)
    xp.exp(out, out=out)
    xp.log1p(out, out=out)
    return out


def flat_index(target: Array, classes: int, scope: Scope) -> Array:
    """Where the target classes lie in an array `(*stack, batch, classes)` seen as one axis."""
    xp = scope.xp
    return xp.add(xp.arange(0, target.size * classes, classes), target.reshape(-1))


@functools.lru_cache(maxsize=64)
def scaled_rows(xp: ModuleType, classes: int, scale: float, dtype: Any) -> Array:
    """The one-hot row of every class times `scale`; kept, so not to be written into."""
    return xp.eye(classes, dtype=dtype) * scale


def class_array(weights: Any, scope: Scope) -> Array | None:
    """Class weights as an array, None if all classes count the same.

    Raises ValueError while they are still to be balanced.
    """
    if weights is None:
        return None
    if isinstance(weights, str):
        raise ValueError("balanced class weights must be fitted to the training data first")
    return scope.xp.asarray(weights, scope.dtype)


def balanced(counts: Sequence[float]) -> tuple[float, ...]:
    """Weights that make all classes count the same: `total / (classes count)`.

    A class that does not occur weighs as if it did once. King and Zeng, "Logistic Regression in
    Rare Events Data" (2001), section 4.
    """
    numbers = [float(np.asarray(count)) for count in counts]
    total = sum(numbers)
    return tuple(total / (len(numbers) * max(number, 1.0)) for number in numbers)


def check_classes(weights: Any, shape: Shape) -> None:
    """Raise ShapeError unless outputs of `shape` are scores of as many classes as have weights."""
    if len(shape) != 1:
        raise ShapeError(f"classes need outputs on one axis; these have shape {shape}")
    if isinstance(weights, tuple) and len(weights) != shape[0]:
        raise ShapeError(f"{len(weights)} class weights were given for {shape[0]} classes")
