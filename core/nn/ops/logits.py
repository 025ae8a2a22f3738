"""Numerically stable probabilities and log-probabilities of logits."""

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
"""The weight of each class; `balanced` weights classes inversely to their frequency."""


FEW = 4
"""Up to this many classes, one operation per class is faster than a reduction over the axis."""

ROWS = 64
"""From this many rows per class on, the maximum is faster with one operation per class."""


def _largest(y: Array, xp: ModuleType) -> Array:
    """The maximum of each row, `(..., 1)`."""
    classes = y.shape[-1]
    if classes > FEW and y.size < ROWS * classes * classes:
        return y.max(axis=-1, keepdims=True)
    return _by_class(xp.maximum, y)


def _total(e: Array, xp: ModuleType) -> Array:
    """The sum of each row, `(..., 1)`, in an order that depends only on the number of classes."""
    return e.sum(axis=-1, keepdims=True) if e.shape[-1] > FEW else _by_class(xp.add, e)


def _by_class(operation: Any, y: Array) -> Array:
    """Reduce the last axis with one call of `operation` per class, `(..., 1)`."""
    result: Array = operation(y[..., :1], y[..., 1:2]) if y.shape[-1] > 1 else +y
    for index in range(2, y.shape[-1]):
        operation(result, y[..., index : index + 1], out=result)
    return result


def exponentials(y: Array, scope: Scope) -> tuple[Array, Array, Array]:
    """Return `z = y - max(y)`, `exp(z)` and its sum over classes `(..., 1)`.

    The first two are buffers. `log softmax(y) = z - log(sum)`, `softmax(y) = exp(z) / sum`.
    """
    xp = scope.xp
    z = xp.subtract(y, _largest(y, xp), out=scope.buffer("z", y.shape))
    e = xp.exp(z, out=scope.buffer("dy", y.shape))
    return z, e, _total(e, xp)


def softmax(y: Array, scope: Scope) -> Array:
    """Return the class probabilities in a new array."""
    p = scope.xp.exp(y - _largest(y, scope.xp))
    p /= _total(p, scope.xp)
    return p


def sigmoid(y: Array, scope: Scope, out: Array | None = None) -> Array:
    """Return `1 / (1 + exp(-y))`, computed with tanh, which does not overflow."""
    p = scope.xp.multiply(y, 0.5, out=out)
    scope.xp.tanh(p, out=p)
    p += 1
    p *= 0.5
    return p


def softplus_tail(y: Array, scope: Scope, out: Array) -> Array:
    """Write `log(1 + exp(-|y|))` to `out` and return it.

    `softplus(y)` is the sum of it and `max(y, 0)`, `softplus(-y)` of it and `max(-y, 0)`.
    """
    xp = scope.xp
    xp.abs(y, out=out)
    xp.negative(out, out=out)
    xp.exp(out, out=out)
    xp.log1p(out, out=out)
    return out


def flat_index(target: Array, classes: int, scope: Scope) -> Array:
    """Return flat indices of the target classes in an array `(*stack, batch, classes)`."""
    xp = scope.xp
    return xp.add(xp.arange(0, target.size * classes, classes), target.reshape(-1))


@functools.lru_cache(maxsize=64)
def scaled_rows(xp: ModuleType, classes: int, scale: float, dtype: Any) -> Array:
    """Return the one-hot rows of all classes times `scale`. Cached, so read-only."""
    return xp.eye(classes, dtype=dtype) * scale


def class_array(weights: Any, scope: Scope) -> Array | None:
    """Return class weights as an array, or None if all are equal.

    Raises ValueError when they are `balanced` and not fitted yet.
    """
    if weights is None:
        return None
    if isinstance(weights, str):
        raise ValueError("balanced class weights must be fitted to the training data first")
    return scope.xp.asarray(weights, scope.dtype)


def balanced(counts: Sequence[float]) -> tuple[float, ...]:
    """Return the weights `total / (classes count)`, inverse to the frequency of each class.

    A class that does not occur counts once. King and Zeng, "Logistic Regression in
    Rare Events Data" (2001), section 4.
    """
    numbers = [float(np.asarray(count)) for count in counts]
    total = sum(numbers)
    return tuple(total / (len(numbers) * max(number, 1.0)) for number in numbers)


def check_classes(weights: Any, shape: Shape) -> None:
    """Raise ShapeError unless outputs of `shape` are one logit per class and class weight."""
    if len(shape) != 1:
        raise ShapeError(f"expected outputs of shape (classes,), got {shape}")
    if isinstance(weights, tuple) and len(weights) != shape[0]:
        raise ShapeError(f"got {len(weights)} class weights for {shape[0]} classes")
