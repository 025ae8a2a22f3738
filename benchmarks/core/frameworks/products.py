"""Only the matrix products of a step, into buffers that are there: how little time it can take."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.core.cases import Case


def build(case: Case, x: Any, y: Any) -> Callable[[int], None]:
    """A function that does the products of that many steps. Raises ValueError for other kinds."""
    del y
    if case.kind != "dense":
        raise ValueError("only dense layers are products and nothing else")
    rng = np.random.default_rng(0)
    layers = []
    for index, (inputs, outputs) in enumerate(
        itertools.pairwise((*case.inputs, *case.hidden, case.outputs))
    ):
        given = x[0] if index == 0 else rng.normal(size=(case.batch, inputs)).astype(np.float32)
        weight = rng.normal(size=(inputs, outputs)).astype(np.float32)
        dy = rng.normal(size=(case.batch, outputs)).astype(np.float32)
        layers.append((given, weight, dy, np.empty_like(dy), np.empty_like(weight)))
    passed_on = [np.empty_like(given) for given, *_ in layers]

    def step(count: int) -> None:
        for _ in range(count):
            for given, weight, _, y, _ in layers:
                np.matmul(given, weight, out=y)
            for index, (given, weight, dy, _, gradient) in reversed(list(enumerate(layers))):
                np.matmul(given.T, dy, out=gradient)
                if index:
                    np.matmul(dy, weight.T, out=passed_on[index])

    return step
