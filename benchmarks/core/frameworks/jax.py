"""JAX: one jitted function for the whole step, weights donated; Adam written out as Optax does."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.core.cases import Case


def _dense(key: Any, inputs: int, outputs: int) -> tuple[Any, Any]:
    limit = (6 / (inputs + outputs)) ** 0.5
    return jax.random.uniform(key, (inputs, outputs), minval=-limit, maxval=limit), jnp.zeros(
        outputs
    )


def _weights(case: Case) -> Any:
    keys = iter(jax.random.split(jax.random.key(0), 32))
    if case.kind == "lenet":
        first, second, dense = case.hidden
        return {
            "conv": [
                (0.1 * jax.random.normal(next(keys), (3, 3, 1, first)), jnp.zeros(first)),
                (0.05 * jax.random.normal(next(keys), (3, 3, first, second)), jnp.zeros(second)),
            ],
            "dense": [
                _dense(next(keys), second * 12 * 12, dense),
                _dense(next(keys), dense, case.outputs),
            ],
        }
    if case.kind == "gru":
        features, units = case.inputs[1], case.hidden[0]
        return {
            "input": _dense(next(keys), features, 3 * units),
            "hidden": _dense(next(keys), units, 3 * units),
            "dense": [_dense(next(keys), units, case.outputs)],
        }
    sizes = (*case.inputs, *case.hidden, case.outputs)
    pairs = itertools.pairwise(sizes)
    return {"dense": [_dense(next(keys), *pair) for pair in pairs]}


def _forward(case: Case, weights: Any, x: Any) -> Any:
    if case.kind == "lenet":
        for kernel, bias in weights["conv"]:
            x = jax.lax.conv_general_dilated(
                x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = jax.nn.relu(x + bias)
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        x = x.reshape(x.shape[0], -1)
    if case.kind == "gru":
        x = _gru(weights, x, case.hidden[0])
    act = jax.nn.sigmoid if case.activation == "sigmoid" else jax.nn.relu
    for matrix, bias in weights["dense"][:-1]:
        x = act(x @ matrix + bias)
    matrix, bias = weights["dense"][-1]
    y = x @ matrix + bias
    return jax.nn.sigmoid(y) if case.name == "nielsen" else y


def _gru(weights: Any, x: Any, units: int) -> Any:
    matrix, bias = weights["input"]
    projected = jnp.swapaxes(x @ matrix + bias, 0, 1)
    recurrent, hidden_bias = weights["hidden"]

    def cell(state: Any, given: Any) -> tuple[Any, None]:
        inner = state @ recurrent + hidden_bias
        reset = jax.nn.sigmoid(given[:, :units] + inner[:, :units])
        update = jax.nn.sigmoid(given[:, units : 2 * units] + inner[:, units : 2 * units])
        fresh = jnp.tanh(given[:, 2 * units :] + reset * inner[:, 2 * units :])
        return (1 - update) * fresh + update * state, None

    return jax.lax.scan(cell, jnp.zeros((x.shape[0], units)), projected)[0]


def build(case: Case, x: Any, y: Any) -> Callable[[int], None]:
    """A function that takes that many steps."""
    inputs, targets = [jnp.asarray(b) for b in x], [jnp.asarray(b) for b in y]
    weights = _weights(case)

    def loss(weights: Any, x: Any, y: Any) -> Any:
        out = _forward(case, weights, x)
        if case.loss == "mean_squared_error":
            return jnp.mean((out - y) ** 2)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], axis=1))

    def sgd(weights: Any, state: Any, x: Any, y: Any) -> Any:
        gradients = jax.grad(loss)(weights, x, y)
        return jax.tree.map(lambda w, g: w - case.rate * g, weights, gradients), state

    def adam(weights: Any, state: Any, x: Any, y: Any) -> Any:
        gradients = jax.grad(loss)(weights, x, y)
        m, v, t = state
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradients)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradients)
        scale, spread = case.rate / (1 - 0.9**t), 1 / (1 - 0.999**t)
        weights = jax.tree.map(
            lambda w, m, v: w - scale * m / (jnp.sqrt(v * spread) + 1e-8), weights, m, v
        )
        return weights, (m, v, t)

    zeros = jax.tree.map(jnp.zeros_like, weights)
    state: Any = (zeros, jax.tree.map(jnp.zeros_like, weights), jnp.zeros(()))
    update = jax.jit(adam if case.optimizer == "adam" else sgd, donate_argnums=(0, 1))
    held = [weights, state]

    def step(count: int) -> None:
        weights, state = held
        for index in range(count):
            which = index % len(inputs)
            weights, state = update(weights, state, inputs[which], targets[which])
        jax.block_until_ready(weights)
        held[:] = [weights, state]

    return step
