"""One neuron forward, one error, and the gradient that backpropagation finds for each weight."""

import numpy as np

from core.nn.layer import Scope
from core.nn.layers.dense import Dense
from core.nn.layers.sigmoid import Sigmoid
from core.nn.losses.half_squared_error import HalfSquaredError
from core.nn.network import BoundNetwork, Network

INPUTS = np.array([[0.1, 0.2]])


def neuron() -> BoundNetwork:
    """The neuron with weights 0.27 and 0.57 and bias 0.4."""
    network = BoundNetwork(
        Network((Dense(units=1), Sigmoid())), (2,), stack=(), xp=np, dtype="float64"
    )
    network.views["[0].weight"][...] = [[0.27], [0.57]]
    network.views["[0].bias"][...] = 0.4
    return network


def net_and_output() -> tuple[float, float]:
    """The weighted sum that enters the neuron, and what the sigmoid makes of it."""
    network = neuron()
    net, _ = network.network.layers[0].forward(INPUTS, network.scopes[0])
    output, _ = network.forward(INPUTS)
    return float(net[0, 0]), float(output[0, 0])


def errors(outputs: tuple[float, ...], targets: tuple[float, ...]) -> tuple[list[float], float]:
    """Half the squared difference of each output, and their sum."""
    scope = Scope(np, np.dtype("float64"), (), (1,))
    loss = HalfSquaredError()
    each = [
        float(loss.forward(np.array([[y]]), np.array([[t]]), scope)[0])
        for y, t in zip(outputs, targets, strict=True)
    ]
    together = Scope(np, np.dtype("float64"), (), (len(outputs),))
    total, _ = loss.forward(np.array([outputs]), np.array([targets]), together)
    return each, float(total)


def gradients(target: float) -> dict[str, list[float]]:
    """How the error changes with each weight when `target` is wanted."""
    network = neuron()
    output, backprop = network.forward(INPUTS, training=True)
    scope = Scope(np, np.dtype("float64"), (), (1,))
    _, dy = HalfSquaredError().forward(output, np.array([[target]]), scope)
    backprop(dy)
    return {name: view.reshape(-1).tolist() for name, view in network.gradient_views.items()}


if __name__ == "__main__":
    net, output = net_and_output()
    print(f"net input {net:.3f}, output {output:.3f}")
    each, total = errors((0.735, 0.455), (0.5, 0.5))
    print(f"errors {each[0]:.4f} and {each[1]:.4f}, total {total:.4f}")
    for name, values in gradients(0.5).items():
        print(f"gradient of {name}: {', '.join(f'{value:.5f}' for value in values)}")
