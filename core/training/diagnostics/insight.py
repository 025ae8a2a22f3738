"""Insights into a trained network: its mistakes, the hardest rows, and its layers."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.nn.array import Array, to_host
from core.nn.layer import Scope
from core.training.dataset_types import Encoding, Part
from core.training.diagnostics.histogram import histograms
from core.training.evaluation import NUMBERS
from core.training.trainer import Trainer

MOST_ROWS = 20_000
"""The most rows whose answers are counted."""
SAMPLE = 1000
"""The most rows whose losses are compared."""
HARDEST = 20
MOST_LAYERS = 40
MOST_CLASSES = 50
_AT_ONCE = 250

Insights = dict[str, Any]


def insights(trainer: Trainer, encoding: Encoding) -> Insights:
    """Insights into a single network with its current weights, as a JSON document.

    They describe the validation rows, else the test rows, else the training rows. `confusion`
    counts the answers for each class, `hardest` lists the rows with the largest loss, and
    `activations` has histograms of the outputs of each layer. `gradients` has those of one training
    batch; computing them overwrites gradients and may change state, so it comes last.
    """
    name, part = _part(trainer)
    numbers = getattr(trainer.dataset, name).numbers
    if numbers is None:
        numbers = np.arange(len(part))
    document: Insights = {"part": name, "rows": min(len(part), MOST_ROWS)}
    document |= _answered(trainer, part, numbers, _labels(trainer, encoding))
    document["activations"] = _activations(trainer, part)
    document["gradients"] = _gradients(trainer)
    return document


def _part(trainer: Trainer) -> tuple[str, Part]:
    for name, part in (("valid", trainer.valid), ("test", trainer.test)):
        if part is not None:
            return name, part
    return "train", trainer.train


def _labels(trainer: Trainer, encoding: Encoding) -> list[Any] | None:
    """The label of each code, or None when rows do not have one class each."""
    observes = trainer.spec.loss.observes()
    outputs = int(np.prod(trainer.network.output_shape))
    if observes == "class" and len(trainer.network.output_shape) == 1:
        size = outputs
    elif observes == "binary" and outputs == 1:
        size = 2
    else:
        return None
    known = encoding.classes[0] if len(encoding.classes) == 1 else None
    return list(known) if known is not None and len(known) == size else list(range(size))


def _answered(
    trainer: Trainer, part: Part, numbers: NDArray[np.int64], labels: list[Any] | None
) -> Insights:
    """The confusion matrix of predictions and targets, and the rows with the largest loss."""
    size = len(labels) if labels is not None and len(labels) <= MOST_CLASSES else 0
    counts = np.zeros((size, size), np.int64)
    rows: list[Insights] = []
    for start, y, target in _blocks(trainer, part):
        outputs = to_host(part.in_units(trainer.loss.prediction(y, trainer.scope)))
        truth = to_host(part.in_units(trainer.loss.observed(target)))
        if size:
            np.add.at(counts, (_codes(truth), _answers(outputs, size)), 1)
        if start < SAMPLE:
            pairs = _pairs(trainer, labels, truth, outputs)
            losses = _losses(trainer, y, target)
            rows += [
                {"row": row, "loss": loss, "truth": true, "answer": answer}
                for row, (loss, (true, answer)) in enumerate(zip(losses, pairs, strict=True), start)
            ]
    rows.sort(key=lambda row: -np.nan_to_num(row["loss"], nan=np.inf))
    hardest = [{**row, "row": int(numbers[row["row"]])} for row in rows[:HARDEST]]
    document: Insights = {"hardest": hardest}
    return document | ({"confusion": {"labels": labels, "counts": counts.tolist()}} if size else {})


def _pairs(
    trainer: Trainer, labels: list[Any] | None, truth: NDArray[Any], outputs: NDArray[Any]
) -> list[tuple[Any, Any]]:
    """The target and the answer of each row, if they are a class or numbers."""
    if labels is not None:
        answers = _answers(outputs, len(labels)).tolist()
        codes = zip(_codes(truth).tolist(), answers, strict=True)
        return [(labels[true], labels[answer]) for true, answer in codes]
    if trainer.spec.loss.observes() == "number":
        return [(_some(true), _some(answer)) for true, answer in zip(truth, outputs, strict=True)]
    return [(None, None)] * len(outputs)


def _blocks(trainer: Trainer, part: Part) -> Iterator[tuple[int, Array, Array]]:
    """The position of the first row, raw outputs and targets of blocks of rows.

    The outputs live in reused buffers.
    """
    size = _size(part)
    for start in range(0, min(len(part), MOST_ROWS), size):
        rows = slice(start, min(start + size, len(part), MOST_ROWS))
        y, _ = trainer.network.forward(trainer.xp.asarray(part.x[rows]))
        yield start, y, part.y[rows]


def _size(part: Part) -> int:
    """The rows of one forward pass."""
    return max(1, min(_AT_ONCE, len(part), NUMBERS // max(1, math.prod(part.x.shape[1:]))))


def _answers(outputs: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """The code of the most probable class for each row."""
    if outputs.shape[-1] < classes:
        return (outputs[..., 0] > 0.5).astype(np.int64)
    return np.asarray(outputs.argmax(axis=-1), np.int64)


def _codes(target: NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray(target.reshape(len(target)), np.int64)


def _losses(trainer: Trainer, y: Array, target: Array) -> list[float]:
    """The loss of each row, computed as a stack of networks with a batch of one row."""
    count = len(y)
    scope = Scope(trainer.xp, trainer.network.dtype, (count,), trainer.network.output_shape)
    values, _ = trainer.loss.forward(y[:, None].copy(), target[:, None], scope)
    losses: list[float] = np.asarray(to_host(values), np.float64).tolist()
    return losses


def _some(numbers: NDArray[Any]) -> list[float]:
    """The first numbers of a row."""
    return [float(number) for number in numbers.reshape(-1)[:5]]


def _activations(trainer: Trainer, part: Part) -> Insights:
    outputs = trainer.network.outputs(trainer.xp.asarray(part.x[: _size(part)]))
    layers = zip(range(MOST_LAYERS), outputs, strict=False)
    return histograms((path, to_host(array)) for _, (path, array) in layers)


def _gradients(trainer: Trainer) -> Insights:
    size = min(_size(trainer.train), trainer.batch_size)
    y, backprop = trainer.network.forward(trainer.xp.asarray(trainer.train.x[:size]), training=True)
    weight = trainer.train.weight
    rows = None if weight is None else weight[:size]
    _, dy = trainer.loss.forward(y, trainer.train.y[:size], trainer.scope, rows)
    backprop(dy)
    views = list(trainer.network.gradient_views.items())[:MOST_LAYERS]
    return histograms((path, to_host(array)) for path, array in views)
