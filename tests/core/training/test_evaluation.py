"""What is measured on rows that are not learned from does not depend on how they are cut."""

from typing import Any, cast

import numpy as np
import pytest

from core.family import members
from core.nn.layer import Scope
from core.nn.layers.dense import Dense
from core.nn.loss import Loss
from core.nn.network import BoundNetwork, Network
from core.training import evaluation
from core.training.dataset_types import Part
from core.training.evaluation import evaluate
from tests.core.nn.test_loss import data, name

ROWS = 60
CASES = [
    case
    for one in members(cast("Any", Loss)).values()
    for case in one.examples()
    if len(case[1]) == 1
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("loss", "shape"), CASES, ids=map(name, CASES))
def test_the_loss_is_the_same_in_blocks_of_any_size(
    loss: Any, shape: Any, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, target, weight = data(loss, (ROWS,), shape)
    network = BoundNetwork(
        Network((Dense(units=shape[0]),)), shape, stack=(), xp=np, dtype="float64"
    )
    network.initialize([3])
    part = Part(x, target, weight if weighted else None)
    scope = Scope(np, network.dtype, (), network.output_shape)
    whole = evaluate(network, loss, (), part, scope)["loss"]
    y, _ = network.forward(x)
    value, _ = loss.forward(y, target, scope, part.weight)
    assert whole == pytest.approx(value)
    monkeypatch.setattr(evaluation, "NUMBERS", 7 * shape[0])
    assert evaluate(network, loss, (), part, scope)["loss"] == pytest.approx(whole, rel=1e-12)
