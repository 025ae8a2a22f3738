"""What a trained network does with rows it did not learn from: mistakes, hard rows, its layers."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.nn.array import Array, to_host
from core.nn.layer import Scope
from core.training.evaluation import NUMBERS
from core.training.problem import Encoding, Part
from core.training.trainer import Trainer

MOST_ROWS = 20_000
"""Rows whose answers are counted."""
SAMPLE = 1000
"""Rows whose losses are told apart, and whose way through the layers is looked at."""
HARDEST = 20
BINS = 40
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
    found: Insights = {"part": name, "rows": min(len(part), MOST_ROWS)}
    confusion = _confusion(trainer, part, encoding)
    if confusion is not None:
        found["confusion"] = confusion
    numbers = getattr(trainer.problem, name).numbers
    found["hardest"] = _hardest(trainer, part, numbers, encoding)
    found["activations"] = _activations(trainer, part)
    found["gradients"] = _gradients(trainer)
    return found


def _looked_at(trainer: Trainer) -> tuple[str, Part]:
    for name, part in (("valid", trainer.valid), ("test", trainer.test)):
        if part is not None:
            return name, part
    return "train", trainer.train


def _blocks(trainer: Trainer, part: Part, most: int) -> Iterator[tuple[Array, Array]]:
    """Raw outputs and targets of the first rows, some at a time; copy what is to last."""
    xp = trainer.xp
    size = _size(part)
    for start in range(0, min(len(part), most), size):
        rows = slice(start, min(start + size, len(part), most))
        y, _ = trainer.network.forward(xp.asarray(part.x[rows]))
        yield y, part.y[rows]


def _size(part: Part) -> int:
    """How many rows go through the network at once."""
    return max(1, min(_AT_ONCE, len(part), NUMBERS // max(1, math.prod(part.x.shape[1:]))))


def _confusion(trainer: Trainer, part: Part, encoding: Encoding) -> Insights | None:
    """How often rows of each class (first axis) got each answer, where there are few classes."""
    labels = _labels(trainer, encoding)
    if labels is None or len(labels) > MOST_CLASSES:
        return None
    size = len(labels)
    counts = np.zeros((size, size), np.int64)
    for y, target in _blocks(trainer, part, MOST_ROWS):
        outputs = trainer.loss.prediction(y, trainer.scope)
        truth = _codes(to_host(trainer.loss.observed(target)))
        np.add.at(counts, (truth, _answers(to_host(outputs))), 1)
    return {"labels": labels, "counts": counts.tolist()}


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


def _answers(outputs: NDArray[Any]) -> NDArray[np.int64]:
    """The code of the likeliest class for each row."""
    if outputs.shape[-1] == 1:
        return (outputs[..., 0] > 0.5).astype(np.int64)
    return np.asarray(outputs.argmax(axis=-1), np.int64)


def _codes(target: NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray(target.reshape(len(target)), np.int64)


def _hardest(
    trainer: Trainer, part: Part, numbers: NDArray[np.int64] | None, encoding: Encoding
) -> list[Insights]:
    """The rows of the largest loss, the worst first; `row` counts in the dataset version."""
    losses = np.concatenate([_losses(trainer, y, t) for y, t in _blocks(trainer, part, SAMPLE)])
    worst = np.argsort(-np.nan_to_num(losses, nan=np.inf), kind="stable")[:HARDEST]
    labels = _labels(trainer, encoding)
    found = []
    for place in worst.tolist():
        y, _ = trainer.network.forward(trainer.xp.asarray(part.x[place : place + 1]))
        outputs = to_host(trainer.loss.prediction(y, trainer.scope))
        truth = to_host(part.y[place : place + 1])
        row: Insights = {"row": place if numbers is None else int(numbers[place])}
        row["loss"] = float(losses[place])
        if labels is not None:
            row["truth"] = labels[_codes(to_host(trainer.loss.observed(truth)))[0]]
            row["answer"] = labels[_answers(outputs)[0]]
        elif trainer.spec.loss.observes() == "number":
            row["truth"], row["answer"] = _some(truth), _some(outputs)
        found.append(row)
    return found


def _losses(trainer: Trainer, y: Array, target: Array) -> NDArray[np.float64]:
    """The loss of each row: to the loss every row is a network of a stack with a batch of one."""
    count = len(y)
    scope = Scope(trainer.xp, trainer.network.dtype, (count,), trainer.network.output_shape)
    values, _ = trainer.loss.forward(y[:, None].copy(), target[:, None], scope)
    return np.asarray(to_host(values), np.float64)


def _some(numbers: NDArray[Any]) -> list[float]:
    """The first numbers of a row."""
    return [float(number) for number in numbers.reshape(-1)[:5]]


def _activations(trainer: Trainer, part: Part) -> Insights:
    outputs = trainer.network.outputs(trainer.xp.asarray(part.x[: _size(part)]))
    places = zip(range(MOST_LAYERS), outputs, strict=False)
    return _spreads((f"network{path}", to_host(array)) for _, (path, array) in places)


def _gradients(trainer: Trainer) -> Insights:
    size = min(_size(trainer.train), trainer.batch_size)
    y, backprop = trainer.network.forward(trainer.xp.asarray(trainer.train.x[:size]), training=True)
    weight = trainer.train.weight
    rows = None if weight is None else weight[:size]
    _, dy = trainer.loss.forward(y, trainer.train.y[:size], trainer.scope, rows)
    backprop(dy)
    views = list(trainer.network.gradient_views.items())[:MOST_LAYERS]
    return _spreads((f"network{name}", to_host(array)) for name, array in views)


def _spreads(arrays: Iterator[tuple[str, NDArray[Any]]]) -> Insights:
    """By name: counts in equal bins from `low` to `high`, mean and deviation of finite numbers."""
    found: Insights = {}
    for name, array in arrays:
        flat = np.asarray(array, np.float64).ravel()
        finite = flat[np.isfinite(flat)]
        if not finite.size:
            continue
        low, high = float(finite.min()), float(finite.max())
        counts, _ = np.histogram(finite, bins=BINS, range=(low, high))
        found[name] = {
            "counts": counts.tolist(),
            "low": low,
            "high": high,
            "mean": float(finite.mean()),
            "deviation": float(finite.std()),
            "zero": float((finite == 0).mean()),
        }
    return found
