"""Every loss and its gradient against PyTorch in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import core.nn.losses  # noqa: F401
from core.family import members
from core.nn.array import Shape
from core.nn.layer import Scope
from core.nn.loss import Loss

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.peers


def smoothed(o: Any, t: Any) -> Any:
    return t * (1 - o.label_smoothing) + 0.5 * o.label_smoothing


def focal(o: Any, y: Any, t: Any) -> Any:
    p = F.softmax(y, dim=-1)[range(len(t)), t]
    alpha = torch.ones_like(p) if o.class_weights is None else torch.tensor(o.class_weights)[t]
    return -(alpha * (1 - p) ** o.gamma * torch.log(p)).sum() / alpha.sum()


def binary_focal(o: Any, y: Any, t: Any) -> Any:
    each = F.binary_cross_entropy_with_logits(y, t, reduction="none")
    truth = torch.exp(-each)
    return (((1 - truth) ** o.gamma) * each * (1 + (o.positive_weight - 1) * t)).mean()


def hinge(o: Any, y: Any, t: Any) -> Any:
    margin = torch.clamp(1 - (2 * t - 1) * y, min=0)
    return (margin**2 if o.squared else margin).mean()


def grouped(o: Any, y: Any, t: Any) -> Any:
    pairs = zip(y.split(o.groups, dim=-1), t.split(o.groups, dim=-1), strict=True)
    return sum(F.cross_entropy(*pair) for pair in pairs)


PEERS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "mean_squared_error": lambda _, y, t: F.mse_loss(y, t),
    "half_squared_error": lambda _, y, t: F.mse_loss(y, t, reduction="sum") / 2 / len(y),
    "sum_of_squares": lambda _, y, t: F.mse_loss(y, t, reduction="sum"),
    "mean_absolute_error": lambda _, y, t: F.l1_loss(y, t),
    "huber": lambda o, y, t: F.huber_loss(y, t, delta=o.delta),
    "log_cosh": lambda _, y, t: torch.log(torch.cosh(y - t)).mean(),
    "quantile": lambda o, y, t: torch.maximum(o.level * (t - y), (o.level - 1) * (t - y)).mean(),
    "poisson": lambda _, y, t: F.poisson_nll_loss(y, t),
    "hinge": hinge,
    "binary_cross_entropy": lambda o, y, t: F.binary_cross_entropy_with_logits(
        y, smoothed(o, t), pos_weight=torch.tensor(o.positive_weight)
    ),
    "binary_focal": binary_focal,
    "cross_entropy": lambda o, y, t: F.cross_entropy(
        y,
        t,
        label_smoothing=o.label_smoothing,
        weight=None if o.class_weights is None else torch.tensor(o.class_weights).double(),
    ),
    "categorical_cross_entropy": lambda o, y, t: F.cross_entropy(
        y,
        t,
        label_smoothing=o.label_smoothing,
        weight=None if o.class_weights is None else torch.tensor(o.class_weights).double(),
    ),
    "grouped_cross_entropy": grouped,
    "focal": focal,
    "kl_divergence": lambda _, y, t: F.kl_div(F.log_softmax(y, dim=-1), t, reduction="batchmean"),
}


def targets(loss: Any, shape: Shape, rng: np.random.Generator) -> Any:
    """Targets for seven outputs of `shape`."""
    if loss.target == "class":
        return rng.integers(shape[-1], size=7)
    if loss.target == "binary":
        return rng.integers(2, size=(7, *shape)).astype(float)
    if loss.target == "classes":
        rows = [np.eye(size)[rng.integers(size, size=7)] for size in loss.groups]
        return np.concatenate(rows, axis=-1)
    if loss.target == "distribution":
        return rng.dirichlet(np.ones(shape[-1]), size=7)
    return rng.normal(size=(7, *shape))


def test_every_loss_has_a_peer() -> None:
    assert set(PEERS) == set(members(Loss))


@pytest.mark.parametrize("kind", sorted(PEERS))
def test_loss_and_gradient_agree(kind: str) -> None:
    rng = np.random.default_rng(11)
    for loss, shape in members(Loss)[kind].examples():
        y: Any = 2 * rng.normal(size=(7, *shape))
        target = targets(loss, shape, rng)
        value, dy = loss.forward(y, target, Scope(np, np.dtype("f8"), (), shape))
        outputs = torch.tensor(y, requires_grad=True)
        theirs = PEERS[kind](loss, outputs, torch.tensor(target))
        theirs.backward()
        np.testing.assert_allclose(value, theirs.item(), rtol=1e-9)
        expected = outputs.grad.numpy()
        np.testing.assert_allclose(dy, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
