"""Learning rates of every schedule, step by step, against PyTorch's schedulers."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import core.nn.schedules  # noqa: F401
from core.family import members
from core.nn.schedule import Progress, Schedule
from core.nn.schedules.cosine import Cosine
from core.nn.schedules.warm_up import WarmUp

torch = pytest.importorskip("torch")
lr = torch.optim.lr_scheduler
pytestmark = pytest.mark.peers

STEPS, RATE = 20, 0.3
LOSSES = [1.0, 0.9, 0.95, 0.91, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8] * 2


def warmed(s: Any, o: Any) -> Any:
    after = lr.CosineAnnealingLR(o, STEPS - s.steps, s.then.end * RATE) if s.then else None
    after = after or lr.ConstantLR(o, 1.0, STEPS)
    # PyTorch refuses to start at 0 exactly.
    first = lr.LinearLR(o, max(s.start, 1e-15), 1.0, s.steps)
    return lr.SequentialLR(o, [first, after], [s.steps])


PEERS: dict[str, Callable[[Any, Any], Any]] = {
    "constant": lambda _, o: lr.ConstantLR(o, 1.0),
    "step": lambda s, o: lr.StepLR(o, s.every, s.decay),
    "exponential": lambda s, o: lr.ExponentialLR(o, s.decay),
    "polynomial": lambda s, o: lr.PolynomialLR(o, STEPS, s.power),
    "cosine": lambda s, o: lr.CosineAnnealingLR(o, STEPS, s.end * RATE),
    "warm_restarts": lambda s, o: lr.CosineAnnealingWarmRestarts(
        o, s.period, s.growth, s.end * RATE
    ),
    "one_cycle": lambda s, o: lr.OneCycleLR(
        o,
        RATE,
        STEPS,
        pct_start=s.rise,
        div_factor=s.divide,
        final_div_factor=s.settle,
        cycle_momentum=False,
    ),
    "reduce_on_plateau": lambda s, o: lr.ReduceLROnPlateau(
        o,
        factor=s.decay,
        patience=s.patience,
        threshold=s.tolerance,
        cooldown=s.cooldown,
        min_lr=s.minimum * RATE,
    ),
    "warm_up": warmed,
}


def test_every_schedule_has_a_peer() -> None:
    assert set(PEERS) == set(members(Schedule))


@pytest.mark.parametrize("kind", sorted(PEERS))
def test_twenty_rates_agree(kind: str) -> None:
    """An epoch is one step here, so that both units count alike."""
    examples = list(members(Schedule)[kind].examples())
    if kind == "warm_up":
        examples = [*examples[1:], WarmUp(steps=5, start=0.2, then=Cosine(end=0.1))]
    for schedule in examples:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
        peer = PEERS[kind](schedule, optimizer)
        ours, theirs = [], []
        for step in range(STEPS):
            progress = Progress(step, step, STEPS, STEPS, tuple(LOSSES[:step]))
            ours.append(RATE * schedule.factor(progress))
            rate = optimizer.param_groups[0]["lr"]
            if kind == "polynomial":  # PyTorch's always ends at nothing
                end = schedule.end  # type: ignore[attr-defined]
                rate = RATE * end + (1 - end) * rate
            theirs.append(rate)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                optimizer.step()
                peer.step(LOSSES[step]) if kind == "reduce_on_plateau" else peer.step()
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-14)
