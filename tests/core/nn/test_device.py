"""All members compute on an array library that never comes to the host, with what CuPy has."""

import json
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import core.nn.losses
import core.nn.metrics
import core.nn.optimizers  # noqa: F401  (the members register themselves)
from core.family import members
from core.nn.array import Shape, to_host
from core.nn.layer import Layer, Scope
from core.nn.loss import Loss
from core.nn.metric import Metric, Tally
from core.nn.network import BoundNetwork, Network
from core.nn.optimizer import Optimizer, Updater

HERE = Path(__file__).parent


def neighbour(name: str) -> Any:
    """A module in this folder: tests are no package."""
    spec = spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


double = neighbour("device")
CUPY = json.loads((HERE / "cupy_names.json").read_text())


def examples(family: type) -> list[Any]:
    return [
        pytest.param(one, id=f"{kind}-{index}")
        for kind, cls in members(family).items()
        for index, one in enumerate(cls.examples())
    ]


@pytest.fixture
def device() -> Any:
    found = double.Device()
    yield found
    missing = sorted(problem for call in found.calls if (problem := cupy_refuses(*call)))
    assert not missing, f"CuPy {CUPY['version']} would refuse: {missing}"


def cupy_refuses(table: str, name: str, positional: int, keywords: frozenset[str]) -> str | None:
    """What is wrong with such a call in CuPy, or None."""
    if table == "constants":
        return None if name in CUPY["constants"] else name
    if table == "ufunc_methods":
        ufunc, _, method = name.rpartition(".")
        known = ufunc in CUPY["ufuncs"] and method in CUPY["ufunc_methods"]
        return None if known else name
    if name not in CUPY[table]:
        return name
    parameters = CUPY[table][name].split(", ")
    by_place = parameters[: parameters.index("*")] if "*" in parameters else parameters
    names = {one.rstrip("=") for one in parameters}
    if any(one.startswith("**") for one in parameters):
        names |= keywords
    if keywords - names:
        return f"{name}({', '.join(sorted(keywords - names))}=)"
    any_number = any(one.startswith("*") and len(one) > 1 for one in by_place)
    if positional > len(by_place) and not any_number:
        return f"{name} of {positional} arguments"
    return None


def both(layer: Layer, shape: Shape, device: Any, stack: Shape) -> tuple[BoundNetwork, ...]:
    """The same network on the host and on the device."""
    found = []
    for xp in (np, device):
        network = BoundNetwork(Network((layer,)), shape, stack=stack, xp=xp, dtype="float32")
        network.initialize(range(int(np.prod(stack))))
        network.scopes[0].input_gradient = True
        found.append(network)
    return tuple(found)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("stack", [(), (2,)])
@pytest.mark.parametrize("example", examples(Layer))
def test_layers(example: Any, stack: Shape, training: bool, device: Any) -> None:
    layer, shape = example
    host, remote = both(layer, shape, device, stack)
    rng = np.random.default_rng(1)
    x = layer.sample(rng, (*stack, 3, *shape)).astype("float32")
    y, backprop = host.forward(x, training=training)
    remote_y, remote_backprop = remote.forward(device.asarray(x), training=training)
    same(remote_y, y)
    dy = np.asarray(rng.normal(size=y.shape), "float32")
    same(remote_backprop(device.asarray(dy)), backprop(dy))
    same(remote.gradients, host.gradients)
    same(remote.state, host.state)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("stack", [(), (2,)])
@pytest.mark.parametrize("example", examples(Loss))
def test_losses(example: Any, stack: Shape, weighted: bool, device: Any) -> None:
    loss, shape = example
    rng = np.random.default_rng(1)
    y = rng.normal(size=(*stack, 5, *shape)).astype("float32")
    target = targets(loss.target, y, rng)
    weight = rng.uniform(0.5, 2, size=(*stack, 5)).astype("float32") if weighted else None
    loss = loss.fitted([3.0] * max(2, *shape))
    there = [None if a is None else device.asarray(a) for a in (y, target, weight)]
    scopes = [Scope(xp, np.dtype("float32"), stack, shape) for xp in (np, device)]
    value, dy = loss.forward(y, target, scopes[0], weight)
    remote_value, remote_dy = loss.forward(there[0], there[1], scopes[1], there[2])
    same(remote_value, value)
    same(remote_dy, dy)
    same(loss.prediction(there[0], scopes[1]), loss.prediction(y, scopes[0]))


@pytest.mark.parametrize("stack", [(), (2,)])
@pytest.mark.parametrize("optimizer", examples(Optimizer))
def test_optimizers(optimizer: Optimizer, stack: Shape, device: Any) -> None:
    rng = np.random.default_rng(1)
    host = rng.normal(size=(*stack, 7)).astype("float32")
    remote = device.asarray(host)
    here, there = Updater(optimizer, np, host), Updater(optimizer, device, remote)
    for _ in range(3):
        gradient = rng.normal(size=host.shape).astype("float32")
        there.update(device.asarray(gradient), optimizer.learning_rate)
        here.update(gradient, optimizer.learning_rate)
    same(remote, host)


@pytest.mark.parametrize("stack", [(), (2,)])
@pytest.mark.parametrize("example", examples(Metric))
def test_metrics(example: Any, stack: Shape, device: Any) -> None:
    metric, shape = example
    rng = np.random.default_rng(1)
    tallies = Tally(metric, np, stack), Tally(metric, device, stack)
    for _ in range(2):
        lead = (*stack, 6, *shape[:-1])
        outputs = rng.dirichlet(np.ones(max(2, shape[-1])), size=lead).astype("float32")
        outputs = outputs[..., : shape[-1]].reshape(*stack, 6, *shape)
        kind = metric.target if metric.target != "any" else "class"
        batch = outputs, targets(kind, outputs, rng), np.ones((*stack, 6), "float32")
        tallies[0].add(*batch)
        tallies[1].add(*(device.asarray(array) for array in batch))
    same(tallies[1].result(), tallies[0].result())


def test_the_double_refuses_to_come_to_the_host() -> None:
    device = double.Device()
    array = device.asarray(np.arange(3.0))
    crossings: list[Callable[[], object]] = [
        lambda: np.asarray(array),
        lambda: np.add(array, 1),
        lambda: np.sum(array),
        lambda: array + np.ones(3),
        lambda: np.ones(3) + array,
        lambda: np.float64(1) * np.ones(3) * array,
        lambda: list(array),
        lambda: float(array[0]),
        lambda: int(array[0]),
        lambda: range(3)[array[0]],
        lambda: array[0].item(),
        lambda: array.tolist(),
        lambda: bool(array),
        lambda: array[np.array([0])],
        lambda: array.__setitem__(0, np.ones(1)),
        lambda: device.add(array, np.ones(3)),
        lambda: device.concatenate([array, np.ones(3)]),
    ]
    for crossing in crossings:
        with pytest.raises(TypeError):
            crossing()
    np.testing.assert_array_equal(to_host(array), np.arange(3.0))


def test_the_record_knows_what_cupy_has_not() -> None:
    assert cupy_refuses("functions", "add", 2, frozenset({"out"})) is None
    assert cupy_refuses("functions", "add", 2, frozenset({"where"})) == "add(where=)"
    assert cupy_refuses("functions", "max", 5, frozenset()) == "max of 5 arguments"
    assert cupy_refuses("functions", "no_such", 1, frozenset()) == "no_such"
    assert cupy_refuses("methods", "sum", 0, frozenset({"initial"})) == "sum(initial=)"
    assert cupy_refuses("ufunc_methods", "add.at", 3, frozenset()) is None


def test_the_record_is_that_of_the_installed_cupy() -> None:
    pytest.importorskip("cupy")
    assert neighbour("record_cupy").record() == CUPY


def same(found: Any, wanted: np.ndarray) -> None:
    assert isinstance(found, double.DeviceArray)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(to_host(found), wanted)


def targets(kind: str, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Targets of a kind for outputs `y`."""
    if kind == "class":
        return rng.integers(y.shape[-1], size=y.shape[:-1])
    if kind == "binary":
        return rng.integers(2, size=y.shape).astype(y.dtype)
    if kind in {"distribution", "classes"}:
        drawn = np.exp(rng.normal(size=y.shape))
        return np.asarray(drawn / drawn.sum(axis=-1, keepdims=True), y.dtype)
    return rng.uniform(0.5, 2.0, size=y.shape).astype(y.dtype)
