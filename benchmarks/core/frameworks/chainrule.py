"""Chainrule: the trainer that jobs run, its shuffling and reporting included."""

from collections.abc import Callable
from typing import Any

from benchmarks.core.cases import Case
from core.spec import TrainingSpec
from core.training.dataset_types import Dataset, Part
from core.training.trainer import Trainer


def layers(case: Case) -> list[dict[str, Any]]:
    """The case's network as a spec."""
    if case.kind == "lenet":
        convolutions: list[dict[str, Any]] = []
        for channels in case.hidden[:2]:
            conv2d = {"kind": "conv2d", "filters": channels, "kernel": 3}
            convolutions += [conv2d, {"kind": "relu"}]
        return [
            *convolutions,
            {"kind": "max_pool2d", "size": 2},
            {"kind": "flatten"},
            {"kind": "dense", "units": case.hidden[2]},
            {"kind": "relu"},
            {"kind": "dense", "units": case.outputs},
        ]
    if case.kind == "gru":
        return [
            {"kind": "gru", "units": case.hidden[0]},
            {"kind": "dense", "units": case.outputs},
        ]
    dense: list[dict[str, Any]] = []
    for units in case.hidden:
        dense += [{"kind": "dense", "units": units}, {"kind": case.activation}]
    dense.append({"kind": "dense", "units": case.outputs})
    if case.name == "nielsen":
        dense.append({"kind": "sigmoid"})
    return dense


def build(case: Case, x: Any, y: Any, *, networks: int = 1) -> Callable[[int], None]:
    """A function that takes that many steps, with one network or a stack of them."""
    specs = [
        TrainingSpec.model_validate(
            {
                "network": layers(case),
                "loss": {"kind": case.loss},
                "optimizer": {
                    "kind": case.optimizer,
                    "learning_rate": case.rate * (1 + number / networks),
                },
                "batch_size": case.batch,
                "seed": number,
            }
        )
        for number in range(networks)
    ]
    part = Part(x.reshape(-1, *x.shape[2:]), y.reshape(-1, *y.shape[2:]))
    trainer = Trainer(specs, Dataset(part), stacked_axis=networks > 1)

    def step(count: int) -> None:
        for _ in range(count):
            trainer.advance()
            if trainer.batch == trainer.batches:
                trainer.end_epoch()

    return step
