"""What a trained network does with rows it did not learn from: mistakes, hard rows, its layers."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.nn.array import Array, to_host
from core.nn.layer import Scope
from core.training.dataset.types import Encoding, Part
from core.training.diagnostics.histogram import spreads
from core.training.evaluation import NUMBERS
from core.training.trainer import Trainer

MOST_ROWS = 20_000
"""Rows whose answers are counted."""
SAMPLE = 1000
"""Rows whose losses are told apart."""
HARDEST = 20
MOST_LAYERS = 40
MOST_CLASSES = 50
_AT_ONCE = 250

Insights = dict[str, Any]


def insights(trainer: Trainer, encoding: Encoding) -> Insights:
    """What the network (one, no stack), as its weights are now, does; as a JSON document.

    Of the validation rows, else the test rows, else the training rows: `confusion` counts the
    answers for each class, `hardest` has the rows of the largest loss, `activations` how the
    outputs of each layer are spread. `gradients` is how those of one training batch are: computing
    them overwrites gradients and may change state, so it comes when all else is done with.
    """
    name, part = _looked_at(trainer)
    numbers = getattr(trainer.problem, name).numbers
    if numbers is None:
        numbers = np.arange(len(part))
    found: Insights = {"part": name, "rows": min(len(part), MOST_ROWS)}
    found |= _answered(trainer, part, numbers, _labels(trainer, encoding))
    found["activations"] = _activations(trainer, part)
    found["gradients"] = _gradients(trainer)
    return found


def _looked_at(trainer: Trainer) -> tuple[str, Part]:
    for name, part in (("valid", trainer.valid), ("test", trainer.test)):
        if part is not None:
            return name, part
    return "train", trainer.train


def _labels(trainer: Trainer, encoding: Encoding) -> list[Any] | None:
    """What each code stands for, when each row has one class."""
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
    """Row by row what is said and what is true: counted, and the worst named."""
    size = len(labels) if labels is not None and len(labels) <= MOST_CLASSES else 0
    counts = np.zeros((size, size), np.int64)
    rows: list[Insights] = []
    for start, y, target in _blocks(trainer, part):
        outputs = to_host(trainer.loss.prediction(y, trainer.scope))
        truth = to_host(trainer.loss.observed(target))
        if size:
            np.add.at(counts, (_codes(truth), _answers(outputs, size)), 1)
        if start < SAMPLE:
            told = zip(
                _losses(trainer, y, target), _pairs(trainer, labels, truth, outputs), strict=True
            )
            rows += [
                {"row": start + place, "loss": loss, "truth": true, "answer": said}
                for place, (loss, (true, said)) in enumerate(told)
            ]
    rows.sort(key=lambda row: -np.nan_to_num(row["loss"], nan=np.inf))
    hardest = [{**row, "row": int(numbers[row["row"]])} for row in rows[:HARDEST]]
    found: Insights = {"hardest": hardest}
    return found | ({"confusion": {"labels": labels, "counts": counts.tolist()}} if size else {})


def _pairs(
    trainer: Trainer, labels: list[Any] | None, truth: NDArray[Any], outputs: NDArray[Any]
) -> list[tuple[Any, Any]]:
    """For each row what is true and what was said, where that is a class or some numbers."""
    if labels is not None:
        said = _answers(outputs, len(labels)).tolist()
        codes = zip(_codes(truth).tolist(), said, strict=True)
        return [(labels[true], labels[said]) for true, said in codes]
    if trainer.spec.loss.observes() == "number":
        return [(_some(true), _some(said)) for true, said in zip(truth, outputs, strict=True)]
    return [(None, None)] * len(outputs)


def _blocks(trainer: Trainer, part: Part) -> Iterator[tuple[int, Array, Array]]:
    """Where they start, raw outputs and targets of the first rows; copy what is to last."""
    size = _size(part)
    for start in range(0, min(len(part), MOST_ROWS), size):
        rows = slice(start, min(start + size, len(part), MOST_ROWS))
        y, _ = trainer.network.forward(trainer.xp.asarray(part.x[rows]))
        yield start, y, part.y[rows]


def _size(part: Part) -> int:
    """How many rows go through the network at once."""
    return max(1, min(_AT_ONCE, len(part), NUMBERS // max(1, math.prod(part.x.shape[1:]))))


def _answers(outputs: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """The code of the likeliest class for each row; of two, one output may be the second's."""
    if outputs.shape[-1] < classes:
        return (outputs[..., 0] > 0.5).astype(np.int64)
    return np.asarray(outputs.argmax(axis=-1), np.int64)


def _codes(target: NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray(target.reshape(len(target)), np.int64)


def _losses(trainer: Trainer, y: Array, target: Array) -> list[float]:
    """The loss of each row: to the loss every row is a network of a stack with a batch of one."""
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
    places = zip(range(MOST_LAYERS), outputs, strict=False)
    return spreads((path, to_host(array)) for _, (path, array) in places)


def _gradients(trainer: Trainer) -> Insights:
    size = min(_size(trainer.train), trainer.batch_size)
    y, backprop = trainer.network.forward(trainer.xp.asarray(trainer.train.x[:size]), training=True)
    weight = trainer.train.weight
    rows = None if weight is None else weight[:size]
    _, dy = trainer.loss.forward(y, trainer.train.y[:size], trainer.scope, rows)
    backprop(dy)
    views = list(trainer.network.gradient_views.items())[:MOST_LAYERS]
    return spreads((path, to_host(array)) for path, array in views)
