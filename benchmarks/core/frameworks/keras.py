"""Keras on JAX: `train_on_batch` of a compiled model."""

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from keras import layers

from benchmarks.core.cases import Case


def network(case: Case) -> Any:
    """The case's network."""
    parts: list[Any] = [keras.Input(case.inputs)]
    if case.kind == "lenet":
        parts += [
            layers.Conv2D(case.hidden[0], 3, activation="relu"),
            layers.Conv2D(case.hidden[1], 3, activation="relu"),
            layers.MaxPool2D(2),
            layers.Flatten(),
            layers.Dense(case.hidden[2], activation="relu"),
        ]
    elif case.kind == "gru":
        parts.append(layers.GRU(case.hidden[0]))
    else:
        parts += [layers.Dense(units, activation=case.activation) for units in case.hidden]
    parts.append(
        layers.Dense(case.outputs, activation="sigmoid" if case.name == "nielsen" else None)
    )
    return keras.Sequential(parts)


def build(case: Case, x: Any, y: Any) -> Callable[[int], None]:
    """A function that takes that many steps."""
    model = network(case)
    loss: Any = "mse"
    if case.loss == "cross_entropy":
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    kind = keras.optimizers.Adam if case.optimizer == "adam" else keras.optimizers.SGD
    model.compile(optimizer=kind(case.rate), loss=loss)

    def step(count: int) -> None:
        for index in range(count):
            which = index % len(x)
            model.train_on_batch(x[which], y[which])

    return step
