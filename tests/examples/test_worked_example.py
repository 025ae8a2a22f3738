"""The article's numbers, and its XOR network step for step as PyTorch trains it."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "worked_example"


def example(name: str) -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / f"{name}.py"))


def test_the_neuron_on_paper() -> None:
    neuron = example("neuron")
    net, output = neuron["net_and_output"]()
    assert round(net, 3) == 0.541
    assert round(output, 3) == 0.632


def test_the_errors_on_paper() -> None:
    each, total = example("neuron")["errors"]((0.735, 0.455), (0.5, 0.5))
    assert [round(error, 4) for error in each] == [0.0276, 0.0010]
    assert round(total, 4) == 0.0286


def test_the_gradients_follow_the_chain_rule() -> None:
    neuron = example("neuron")
    _, output = neuron["net_and_output"]()
    delta = (output - 0.5) * output * (1 - output)
    found = neuron["gradients"](0.5)
    assert found["[0].weight"] == pytest.approx([delta * 0.1, delta * 0.2])
    assert found["[0].bias"] == pytest.approx([delta])


def test_first_weights_and_biases_of_xor_lie_between_a_tenth_and_nine_tenths() -> None:
    views = example("xor")["trainer"]().network.views
    assert sorted(views) == ["[0].bias", "[0].weight", "[2].bias", "[2].weight"]
    assert all(((array > 0.1) & (array < 0.9)).all() for array in views.values())


def test_xor_is_learned() -> None:
    xor = example("xor")
    learner = xor["trainer"]()
    curve = xor["losses"](learner)
    assert len(curve) == 500
    outputs, _ = learner.network.forward(xor["ROWS"])
    assert (np.round(outputs) == xor["TARGETS"]).all()


@pytest.mark.peers
def test_xor_has_the_loss_curve_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    xor = example("xor")
    learner = xor["trainer"]()
    network = torch.nn.Sequential(
        torch.nn.Linear(2, 3), torch.nn.Sigmoid(), torch.nn.Linear(3, 1), torch.nn.Sigmoid()
    ).double()
    with torch.no_grad():
        for index in (0, 2):
            views = learner.network.views
            network[index].weight.copy_(torch.from_numpy(views[f"[{index}].weight"].T.copy()))
            network[index].bias.copy_(torch.from_numpy(views[f"[{index}].bias"].copy()))
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    rows, targets = torch.from_numpy(xor["ROWS"]), torch.from_numpy(xor["TARGETS"])
    theirs = []
    for _ in range(500):
        optimizer.zero_grad()
        loss = ((network(rows) - targets) ** 2).sum()
        loss.backward()
        optimizer.step()
        theirs.append(loss.item())
    assert xor["losses"](learner) == pytest.approx(theirs, rel=1e-9)
