"""Batches played from a tape equal those computed by the code bit for bit, or none is played."""

import math
from typing import Any, cast

import numpy as np
import pytest

from core.family import members
from core.nn.compile import fusion, tape
from core.nn.layer import Layer
from core.nn.layers.dense import Dense
from core.nn.layers.flatten import Flatten
from core.nn.layers.reshape import Reshape
from core.nn.loss import Loss
from core.nn.losses.mean_squared_error import MeanSquaredError
from core.nn.network import Network
from core.spec import TrainingSpec
from core.training import step
from core.training.dataset_types import Dataset, Part
from core.training.trainer import Trainer

NETWORKS: dict[str, tuple[list[dict[str, Any]], bool]] = {
    "relu": (
        [{"kind": "dense", "units": 8}, {"kind": "relu"}, {"kind": "dense", "units": 3}],
        True,
    ),
    "sigmoid": (
        [{"kind": "dense", "units": 8}, {"kind": "sigmoid"}, {"kind": "dense", "units": 3}],
        True,
    ),
    "dropout": (
        [{"kind": "dense", "units": 8}, {"kind": "dropout"}, {"kind": "dense", "units": 3}],
        False,
    ),
    "batch norm": (
        [{"kind": "dense", "units": 8}, {"kind": "batch_norm"}, {"kind": "dense", "units": 3}],
        False,
    ),
}


def trainer(network: list[dict[str, Any]], seeds: tuple[int, ...] = (0,)) -> Trainer:
    rng = np.random.default_rng(0)
    part = Part(rng.normal(size=(100, 4)).astype(np.float32), rng.integers(0, 3, 100))
    specs = [
        TrainingSpec.model_validate(
            {"network": network, "loss": {"kind": "cross_entropy"}, "batch_size": 8, "seed": seed}
        )
        for seed in seeds
    ]
    return Trainer(specs, Dataset(part), stacked_axis=len(seeds) > 1)


def family_cases() -> dict[str, tuple[list[Any], Any, Any]]:
    """Each layer before a dense one, and each loss behind one: layers, loss, a row's shape."""
    found: dict[str, tuple[list[Any], Any, Any]] = {}
    for kind, layer in members(cast("Any", Layer)).items():
        for number, (example, shape) in enumerate(layer.examples()):
            layers = [example, Flatten(), Dense(units=2)]
            found[f"{kind}-{number}"] = (layers, MeanSquaredError(), shape)
    for kind, one in members(cast("Any", Loss)).items():
        for number, (loss, shape) in enumerate(one.examples()):
            layers = [Dense(units=math.prod(shape)), Reshape(shape=shape)]
            found[f"{kind}-{number}"] = (layers, loss, (4,))
    return found


FAMILY = family_cases()


def family_trainer(name: str) -> Trainer:
    layers, loss, shape = FAMILY[name]
    rng = np.random.default_rng(0)
    output = Network(tuple(layers)).output(shape)
    x = layers[0].sample(rng, (40, *shape)).astype(np.float32)
    y: Any = rng.integers(0, 2, (40, *output)).astype(np.float32)
    if loss.target == "class":
        y = rng.integers(0, output[-1], 40)
    spec = TrainingSpec.model_validate(
        {"network": layers, "loss": loss, "batch_size": 8, "optimizer": {"kind": "sgd"}}
    )
    return Trainer([spec], Dataset(Part(x, y)))


def weights(learner: Trainer, steps: int) -> bytes:
    for _ in range(steps):
        learner.advance()
        if learner.batch == learner.batches:
            learner.end_epoch()
    return bytes(learner.network.weights.tobytes())


@pytest.mark.parametrize("seeds", [(0,), (1, 2, 3)], ids=["alone", "stack"])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("fuses", [False, True], ids=["calls", "fused"])
def test_playing_changes_no_bit(
    name: str, seeds: tuple[int, ...], fuses: bool, monkeypatch: Any
) -> None:
    network, plays = NETWORKS[name]
    monkeypatch.setattr(fusion.Fusion, "pays", lambda _: fuses)
    learner = trainer(network, seeds)
    played = weights(learner, 60)
    assert learner.replays == plays
    monkeypatch.setattr(step, "SMALL", 0)
    by_code = trainer(network, seeds)
    assert weights(by_code, 60) == played
    assert not by_code.replays


@pytest.mark.parametrize("name", FAMILY)
def test_no_member_trains_otherwise_beyond_the_recording(name: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(fusion.Fusion, "pays", lambda _: True)
    played = weights(family_trainer(name), 25)
    monkeypatch.setattr(step, "SMALL", 0)
    assert weights(family_trainer(name), 25) == played


def test_a_tape_that_differs_is_thrown_away(monkeypatch: Any) -> None:
    network, _ = NETWORKS["relu"]
    expected = weights(trainer(network), 60)
    play = tape.Tape.play

    def plays_wrongly(recorded: tape.Tape) -> None:
        play(recorded)
        recorded.calls[0][2]["out"][...] += 1  # the first product
        rest = tape.Tape()
        rest.calls = recorded.calls[1:]
        play(rest)

    monkeypatch.setattr(tape.Tape, "play", plays_wrongly)
    learner = trainer(network)
    assert weights(learner, 60) == expected
    assert not learner.replays
