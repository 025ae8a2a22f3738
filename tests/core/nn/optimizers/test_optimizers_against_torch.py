"""Twenty steps of every optimizer from the same start, against PyTorch in float64."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import core.nn.optimizers  # noqa: F401
from core.family import members
from core.nn.optimizer import Optimizer, Updater

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

STEPS, SIZE = 20, 200


def betas(o: Any) -> dict[str, Any]:
    return {"lr": o.learning_rate, "betas": (o.beta1, o.beta2), "eps": o.epsilon}


PEERS: dict[str, Callable[[Any, Any], Any]] = {
    "sgd": lambda o, w: torch.optim.SGD(
        w, lr=o.learning_rate, momentum=o.momentum, nesterov=o.nesterov
    ),
    "adagrad": lambda o, w: torch.optim.Adagrad(w, lr=o.learning_rate, eps=o.epsilon),
    "adadelta": lambda o, w: torch.optim.Adadelta(w, lr=o.learning_rate, rho=o.rho, eps=o.epsilon),
    "rmsprop": lambda o, w: torch.optim.RMSprop(
        w,
        lr=o.learning_rate,
        alpha=o.rho,
        eps=o.epsilon,
        momentum=o.momentum,
        centered=o.centered,
    ),
    "adam": lambda o, w: torch.optim.Adam(w, **betas(o)),
    "amsgrad": lambda o, w: torch.optim.Adam(w, **betas(o), amsgrad=True),
    "adamw": lambda o, w: torch.optim.AdamW(w, **betas(o), weight_decay=o.weight_decay),
    "nadam": lambda o, w: torch.optim.NAdam(w, **betas(o), momentum_decay=o.momentum_decay),
    "radam": lambda o, w: torch.optim.RAdam(w, **betas(o)),
    "lion": lambda o, w: Lion(w, o),
}


class Lion:
    """Program 1 of the paper, line by line: PyTorch has no Lion."""

    def __init__(self, weights: list[Any], o: Any) -> None:
        self.w, self.o, self.m = weights[0], o, torch.zeros_like(weights[0])

    def step(self) -> None:
        o, g = self.o, self.w.grad
        update = torch.sign(o.beta1 * self.m + (1 - o.beta1) * g)
        self.m = o.beta2 * self.m + (1 - o.beta2) * g
        with torch.no_grad():
            self.w -= o.learning_rate * (update + o.weight_decay * self.w)


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    """Also the running product that NAdam keeps in addition to its weights is then in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def test_every_optimizer_has_a_peer() -> None:
    assert set(PEERS) == set(members(Optimizer))


@pytest.mark.parametrize("fuse", [False, True])
@pytest.mark.parametrize("kind", sorted(PEERS))
def test_twenty_steps_agree(kind: str, fuse: bool) -> None:
    rng = np.random.default_rng(5)
    for optimizer in members(Optimizer)[kind].examples():
        start, pull = rng.standard_normal(SIZE), rng.standard_normal(SIZE)
        w = start.copy()
        updater = Updater(optimizer, np, w, fuse=fuse)
        peer = torch.tensor(start, requires_grad=True)
        theirs = PEERS[kind](optimizer, [peer])
        for step in range(1, STEPS + 1):
            updater.update(w * pull + np.sin(step * pull), optimizer.learning_rate)
            numbers = peer.detach().numpy()
            peer.grad = torch.tensor(numbers * pull + np.sin(step * pull))
            theirs.step()
        moved = np.abs(w - start).max()
        assert moved > 1e-5
        np.testing.assert_allclose(w, peer.detach().numpy(), rtol=1e-9, atol=1e-9 * moved)
