"""Convolution in parts: the same numbers however many windows are laid out at a time."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from core.nn.layers.conv2d import Conv2d
from core.nn.network import BoundNetwork, Network
from core.nn.ops import convolution

LAYER = Conv2d(filters=4, kernel=3, padding="same", groups=2)
SHAPE = (5, 6, 4)
IMAGES = np.random.default_rng(1).normal(size=(3, 7, *SHAPE))
PASSED = np.random.default_rng(2).normal(size=(3, 7, 5, 6, 4))


def gradients(places: list[int], stack: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Outputs, dx and weight gradients of some of three networks: stacked, or one alone."""
    network = BoundNetwork(Network((LAYER,)), SHAPE, stack=stack, xp=np, dtype="float64")
    network.initialize(places)
    network.scopes[0].input_gradient = True
    pick = places if stack else places[0]
    with threadpool_limits(1):
        y, backprop = network.forward(IMAGES[pick], training=True)
        dx = backprop(PASSED[pick])
    return y, dx, network.gradients


@pytest.mark.parametrize("part", [1, 1100, 2200, 5000, 20_000])
def test_parts_of_any_size(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = gradients([0, 1, 2], (3,))
    monkeypatch.setattr(convolution, "PART", part)
    together = gradients([0, 1, 2], (3,))
    for found, whole in zip(together, wanted, strict=True):
        np.testing.assert_allclose(found, whole, rtol=1e-12, atol=1e-12)
    for place in range(3):
        for found, alone in zip(together, gradients([place], ()), strict=True):
            np.testing.assert_array_equal(found[place], alone)
