"""Every layer against PyTorch in float64: outputs, dx and the gradients of all weights."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from core.family import members
from core.nn.array import Array, Shape
from core.nn.layer import Layer
from core.nn.layers.average_pool1d import AveragePool1d
from core.nn.layers.average_pool2d import AveragePool2d
from core.nn.layers.batch_norm import BatchNorm
from core.nn.layers.conv1d import Conv1d
from core.nn.layers.conv2d import Conv2d
from core.nn.layers.dense import Dense
from core.nn.layers.elu import Elu
from core.nn.layers.embedding import Embedding
from core.nn.layers.flatten import Flatten
from core.nn.layers.gelu import Gelu
from core.nn.layers.global_average_pool import GlobalAveragePool
from core.nn.layers.global_max_pool import GlobalMaxPool
from core.nn.layers.gru import Gru
from core.nn.layers.hard_sigmoid import HardSigmoid
from core.nn.layers.identity import Identity
from core.nn.layers.layer_norm import LayerNorm
from core.nn.layers.leaky_relu import LeakyRelu
from core.nn.layers.log_softmax import LogSoftmax
from core.nn.layers.lstm import Lstm
from core.nn.layers.max_pool1d import MaxPool1d
from core.nn.layers.max_pool2d import MaxPool2d
from core.nn.layers.mish import Mish
from core.nn.layers.prelu import Prelu
from core.nn.layers.recurrent import SimpleRecurrent
from core.nn.layers.relu import Relu
from core.nn.layers.reshape import Reshape
from core.nn.layers.residual import Residual
from core.nn.layers.selu import Selu
from core.nn.layers.sigmoid import Sigmoid
from core.nn.layers.silu import Silu
from core.nn.layers.softmax import Softmax
from core.nn.layers.softplus import Softplus
from core.nn.layers.softsign import Softsign
from core.nn.layers.tanh import Tanh
from core.nn.network import BoundNetwork, Network

pytestmark = pytest.mark.peers
torch: Any = pytest.importorskip("torch")
functional: Any = pytest.importorskip("torch.nn.functional")

NOT_COMPARED = {"dropout"}
"""Its chance is its own; the family's tests know what it does."""

Weights = dict[str, Any]


@dataclass
class Case:
    """A layer, what it is fed, and the same computation in PyTorch's functions."""

    layer: Layer
    shape: Shape
    peer: Callable[[Any, Weights], Any]
    batch: int = 4
    training: bool = True
    name: str = field(default="")


def first(x: Any) -> Any:
    """Channels from last to first, as PyTorch has them."""
    return x.movedim(-1, 1)


def last(x: Any) -> Any:
    """Channels from first to last."""
    return x.movedim(1, -1)


def convolved(function: Any, **options: Any) -> Callable[[Any, Weights], Any]:
    def peer(x: Any, w: Weights) -> Any:
        weight = w["weight"].movedim((-1, -2), (0, 1))
        return last(function(first(x), weight, w.get("bias"), **options))

    return peer


def padded_max(x: Any, _: Weights) -> Any:
    around = functional.pad(first(x), (0, 1, 0, 1), value=-torch.inf)
    return last(functional.max_pool2d(around, 3, 2))


def cell(
    kind: Any, gates: list[int], *, sequences: bool, own: bool
) -> Callable[[Any, Weights], Any]:
    """A recurrent layer of PyTorch with our weights; `gates` is our order in theirs."""

    def peer(x: Any, w: Weights) -> Any:
        units = w["recurrent"].shape[0]

        def theirs(a: Any) -> Any:
            parts = a.split(units, dim=-1)
            return torch.cat([parts[i] for i in gates], dim=-1).movedim(-1, 0)

        module = kind(x.shape[-1], units, batch_first=True, dtype=torch.float64)
        second = torch.zeros(len(gates) * units, dtype=torch.float64)
        if own:
            second = torch.cat([second[: 2 * units], w["candidate_bias"]])
        values = {
            "weight_ih_l0": theirs(w["weight"]),
            "weight_hh_l0": theirs(w["recurrent"]),
            "bias_ih_l0": theirs(w["bias"]),
            "bias_hh_l0": second,
        }
        y, _ = torch.func.functional_call(module, values, (x,))
        return y if sequences else y[:, -1]

    return peer


def normalized(training: bool) -> Callable[[Any, Weights], Any]:
    def peer(x: Any, w: Weights) -> Any:
        mean, variance = torch.zeros(3, dtype=x.dtype), torch.ones(3, dtype=x.dtype)
        return last(
            functional.batch_norm(
                first(x), mean, variance, w["scale"], w["shift"], training, 0.1, 1e-5
            )
        )

    return peer


def inner(x: Any, w: Weights) -> Any:
    return x + torch.tanh(x @ w["layers[0].weight"] + w["layers[0].bias"])


def each(layer: Layer, function: Callable[[Any], Any]) -> Case:
    return Case(layer, (3, 5), lambda x, _: function(x))


GRU, LSTM = [0, 1, 2], [0, 1, 3, 2]
CASES = [
    Case(Dense(units=3), (4,), lambda x, w: x @ w["weight"] + w["bias"]),
    Case(Dense(units=3, bias=False), (2, 4), lambda x, w: x @ w["weight"]),
    each(Identity(), lambda x: x),
    each(Sigmoid(), torch.sigmoid),
    # PyTorch's own hardsigmoid multiplies its gradient by a 1/6 of 32 bits.
    each(HardSigmoid(), lambda x: (x / 6 + 0.5).clamp(0, 1)),
    each(Tanh(), torch.tanh),
    each(Relu(), torch.relu),
    each(LeakyRelu(slope=0.2), lambda x: functional.leaky_relu(x, 0.2)),
    Case(Prelu(), (4, 3), lambda x, w: last(functional.prelu(first(x), w["slope"]))),
    each(Elu(alpha=0.7), lambda x: functional.elu(x, 0.7)),
    each(Selu(), torch.selu),
    each(Gelu(), lambda x: functional.gelu(x, approximate="tanh")),
    each(Silu(), functional.silu),
    each(Mish(), functional.mish),
    each(Softplus(), functional.softplus),
    each(Softsign(), functional.softsign),
    each(Softmax(), lambda x: torch.softmax(x, -1)),
    each(LogSoftmax(), lambda x: torch.log_softmax(x, -1)),
    Case(Flatten(), (2, 3), lambda x, _: x.flatten(1)),
    Case(Reshape(shape=(3, 2)), (2, 3), lambda x, _: x.reshape(-1, 3, 2)),
    Case(BatchNorm(), (5, 3), normalized(True)),
    Case(BatchNorm(), (4, 5, 3), normalized(True)),
    Case(BatchNorm(), (5, 3), normalized(False), training=False),
    Case(
        LayerNorm(),
        (2, 6),
        lambda x, w: functional.layer_norm(x, (6,), w["scale"], w["shift"], 1e-5),
    ),
    Case(
        Embedding(vocabulary=7, units=3),
        (5,),
        lambda x, w: functional.embedding(x.detach().long(), w["weight"]) + 0 * x[..., None],
    ),
    Case(Residual(layers=(Dense(units=4), Tanh())), (4,), inner),
    Case(Conv1d(filters=4, kernel=3), (7, 2), convolved(functional.conv1d)),
    Case(
        Conv1d(filters=4, kernel=3, padding="same", dilation=2, groups=2, bias=False),
        (7, 4),
        convolved(functional.conv1d, padding="same", dilation=2, groups=2),
    ),
    Case(
        Conv1d(filters=2, kernel=2, stride=3, padding=1),
        (8, 3),
        convolved(functional.conv1d, stride=3, padding=1),
    ),
    Case(Conv2d(filters=4, kernel=3), (6, 5, 2), convolved(functional.conv2d)),
    Case(Conv2d(filters=3, kernel=2), (6, 5, 17), convolved(functional.conv2d)),
    Case(
        Conv2d(filters=4, kernel=(2, 3), padding="same"),
        (5, 6, 1),
        lambda x, w: convolved(functional.conv2d)(functional.pad(x, (0, 0, 1, 1, 0, 1)), w),
    ),
    Case(
        Conv2d(filters=6, kernel=3, stride=(2, 1), padding=(2, 1), dilation=(1, 2), groups=2),
        (9, 8, 4),
        convolved(functional.conv2d, stride=(2, 1), padding=(2, 1), dilation=(1, 2), groups=2),
    ),
    Case(
        Conv2d(filters=8, kernel=3, padding=1, groups=4),
        (4, 5, 4),
        convolved(functional.conv2d, padding=1, groups=4),
    ),
    Case(Conv2d(filters=32, kernel=3), (28, 28, 1), convolved(functional.conv2d), batch=9),
    Case(Conv2d(filters=8, kernel=3), (14, 13, 16), convolved(functional.conv2d), batch=9),
    Case(MaxPool1d(size=2), (7, 3), lambda x, _: last(functional.max_pool1d(first(x), 2))),
    Case(MaxPool2d(size=2), (6, 7, 3), lambda x, _: last(functional.max_pool2d(first(x), 2))),
    Case(
        MaxPool2d(size=3, stride=2, padding=1),
        (6, 7, 2),
        lambda x, _: last(functional.max_pool2d(first(x), 3, 2, 1)),
    ),
    Case(MaxPool2d(size=3, stride=2, padding="same"), (6, 8, 2), padded_max),
    Case(AveragePool1d(size=3), (7, 2), lambda x, _: last(functional.avg_pool1d(first(x), 3))),
    Case(
        AveragePool2d(size=3, stride=2, padding=1),
        (6, 7, 2),
        lambda x, _: last(functional.avg_pool2d(first(x), 3, 2, 1, count_include_pad=False)),
    ),
    Case(GlobalAveragePool(), (3, 4, 2), lambda x, _: x.mean((1, 2))),
    Case(GlobalMaxPool(), (3, 4, 2), lambda x, _: x.amax((1, 2))),
    *(
        Case(layer(units=3, return_sequences=s), (6, 4), cell(kind, gates, sequences=s, own=own))
        for s in (True, False)
        for layer, kind, gates, own in (
            (SimpleRecurrent, torch.nn.RNN, [0], False),
            (Gru, torch.nn.GRU, GRU, True),
            (Lstm, torch.nn.LSTM, LSTM, False),
        )
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.layer.kind)
def test_the_same_as_pytorch(case: Case) -> None:
    rng = np.random.default_rng(3)
    network = BoundNetwork(Network((case.layer,)), case.shape, stack=(), xp=np, dtype="float64")
    network.initialize([1])
    network.weights += rng.normal(size=network.weights.shape) * 0.3
    network.scopes[0].input_gradient = True
    x = case.layer.sample(rng, (case.batch, *case.shape))
    compare(network, case, x, rng)


POINTWISE = [case for case in CASES if case.shape in {(3, 5), (4, 3)} and case.batch == 4]


@pytest.mark.parametrize("case", POINTWISE, ids=lambda case: case.layer.kind)
def test_the_same_as_pytorch_at_exactly_zero(case: Case) -> None:
    rng = np.random.default_rng(3)
    network = BoundNetwork(Network((case.layer,)), case.shape, stack=(), xp=np, dtype="float64")
    network.initialize([1])
    network.scopes[0].input_gradient = True
    compare(network, case, np.zeros((case.batch, *case.shape)), rng)


def compare(network: BoundNetwork, case: Case, x: Array, rng: np.random.Generator) -> None:
    """Outputs and all gradients for `x`, with those of PyTorch."""
    weights = {name.partition("].")[2]: view for name, view in network.views.items()}
    peer_x = torch.tensor(x, requires_grad=True)
    peer_weights = {n: torch.tensor(w, requires_grad=True) for n, w in weights.items()}

    with threadpool_limits(1):
        y, backprop = network.forward(x, training=case.training)
        dy = rng.normal(size=y.shape)
        dx = backprop(dy)
    peer_y = case.peer(peer_x, peer_weights)
    peer_y.backward(torch.tensor(dy))

    near(y, peer_y)
    near(dx, peer_x.grad)
    for name, view in network.gradient_views.items():
        near(view, peer_weights[name.partition("].")[2]].grad)


def test_running_statistics_are_those_of_pytorch() -> None:
    network = BoundNetwork(
        Network((BatchNorm(momentum=0.3),)), (4, 3), stack=(), xp=np, dtype="float64"
    )
    network.initialize([1])
    peer = torch.nn.BatchNorm1d(3, momentum=0.3, dtype=torch.float64)
    rng = np.random.default_rng(4)
    for _ in range(3):
        x = rng.normal(2.0, 3.0, (5, 4, 3))
        network.forward(x, training=True)
        peer(first(torch.tensor(x)))
    near(network.state_views["[0].mean"], peer.running_mean)
    near(network.state_views["[0].variance"], peer.running_var)


def test_of_equal_numbers_the_first_wins_as_in_pytorch() -> None:
    network = BoundNetwork(Network((MaxPool2d(),)), (4, 4, 1), stack=(), xp=np, dtype="float64")
    network.scopes[0].input_gradient = True
    x = np.zeros((1, 4, 4, 1))
    _, backprop = network.forward(x, training=True)
    dx = backprop(np.ones((1, 2, 2, 1)))
    peer_x = torch.tensor(x, requires_grad=True)
    last(functional.max_pool2d(first(peer_x), 2)).sum().backward()
    near(dx, peer_x.grad)


def test_every_layer_is_compared() -> None:
    assert {case.layer.kind for case in CASES} | NOT_COMPARED == set(members(Layer))


def near(found: Array, wanted: Any) -> None:
    wanted = wanted.detach().numpy()
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-9 * max(np.abs(wanted).max(), 1e-3)
