"""PyTorch eager, with its fused Adam."""

import itertools
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks.core.cases import Case


class Lenet(nn.Sequential):
    """Two convolutions, a pool and two dense layers."""

    def __init__(self, case: Case) -> None:
        first, second, dense = case.hidden
        super().__init__(
            nn.Conv2d(1, first, 3),
            nn.ReLU(),
            nn.Conv2d(first, second, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(second * 12 * 12, dense),
            nn.ReLU(),
            nn.Linear(dense, case.outputs),
        )


class Gru(nn.Module):
    """A GRU whose last state a dense layer reads."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.gru = nn.GRU(case.inputs[1], case.hidden[0], batch_first=True)
        self.dense = nn.Linear(case.hidden[0], case.outputs)

    def forward(self, x: Any) -> Any:
        return self.dense(self.gru(x)[0][:, -1])


def network(case: Case) -> nn.Module:
    """The case's network."""
    if case.kind == "lenet":
        return Lenet(case)
    if case.kind == "gru":
        return Gru(case)
    act = nn.ReLU if case.activation == "relu" else nn.Sigmoid
    sizes = (*case.inputs, *case.hidden)
    parts: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        parts += [nn.Linear(inputs, outputs), act()]
    parts.append(nn.Linear(sizes[-1], case.outputs))
    if case.name == "nielsen":
        parts.append(nn.Sigmoid())
    return nn.Sequential(*parts)


def build(case: Case, x: Any, y: Any, *, compiled: bool = False) -> Callable[[int], None]:
    """A function that takes that many steps."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(0)
    model = network(case)
    loss_of = nn.CrossEntropyLoss() if case.loss == "cross_entropy" else nn.MSELoss()
    if case.optimizer == "adam":
        optimizer: Any = torch.optim.Adam(model.parameters(), lr=case.rate, fused=True)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=case.rate)
    if case.kind == "lenet":
        x = x.transpose(0, 1, 4, 2, 3).copy()
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y.copy())
    forward: Any = model
    if compiled:
        forward = torch.compile(model)

    def step(count: int) -> None:
        for index in range(count):
            which = index % len(inputs)
            optimizer.zero_grad(set_to_none=True)
            loss_of(forward(inputs[which]), targets[which]).backward()
            optimizer.step()

    return step
