"""Builder of an ONNX graph with unique names."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
ML_DOMAIN, ML_OPSET = "ai.onnx.ml", 3
"""Domain of the nodes for categories, in a version that all runtimes support."""
IR_VERSION = 9
"""Version that onnxruntime reads since 2024; a newer one would exclude older runtimes."""

TYPES = {
    "float": TensorProto.FLOAT,
    "double": TensorProto.DOUBLE,
    "long": TensorProto.INT64,
    "boolean": TensorProto.BOOL,
    "string": TensorProto.STRING,
}
"""ONNX types by their names in MLflow."""


class Graph:
    """Nodes in order. Values are referred to by name; methods return the name of their value."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._taken: set[str] = set()

    def input(self, name: str, kind: str, shape: Sequence[int]) -> str:
        """Add an input of shape `(rows, *shape)`; `kind` is a key of `TYPES`."""
        self._taken.add(name)
        self._inputs.append(_value(name, kind, shape))
        return name

    def output(self, requested: str, value: str, kind: str, shape: Sequence[int] = ()) -> str:
        """Add `value`, of shape `(rows, *shape)`, as an output called `requested` or similar."""
        name = self._unique(requested)
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(_value(name, kind, shape))
        return name

    def constant(self, value: NDArray[Any]) -> str:
        """Add an array as a constant."""
        name = self._unique(f"constant.{len(self._constants)}")
        self._constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def weight(self, value: NDArray[Any]) -> str:
        """Add an array as a float32 constant."""
        return self.constant(np.asarray(value, np.float32))

    def sizes(self, *values: int) -> str:
        """Add axes or extents as an int64 constant."""
        return self.constant(np.array(values, np.int64))

    def add(self, op: str, *inputs: str, outputs: int = 1, keep: int = 0, **attributes: Any) -> str:
        """Add a node; return the name of its output `keep` of `outputs`.

        An empty input name stands for a missing optional input.
        """
        kept = self._unique(f"{op.lower()}.{len(self._nodes)}")
        names = [kept if index == keep else "" for index in range(outputs)]
        self._nodes.append(helper.make_node(op, list(inputs), names, name=kept, **attributes))
        return kept

    def cast(self, value: str, kind: str) -> str:
        """Convert a value to the type `kind` of `TYPES`."""
        return self.add("Cast", value, to=TYPES[kind])

    def reshape(self, value: str, shape: Sequence[int]) -> str:
        """Reshape a value to `(rows, *shape)`, for any number of rows."""
        return self.add("Reshape", value, self.sizes(0, *shape))

    def build(self, name: str) -> onnx.ModelProto:
        """Return the model. Raises ValidationError of onnx if the graph is invalid."""
        graph = helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, initializer=self._constants
        )
        domains = {node.domain for node in self._nodes}
        opset = [helper.make_opsetid("", OPSET)]
        if ML_DOMAIN in domains:
            opset.append(helper.make_opsetid(ML_DOMAIN, ML_OPSET))
        model = helper.make_model(
            graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="chainrule"
        )
        onnx.checker.check_model(model)
        return model

    def _unique(self, requested: str) -> str:
        name, number = requested, 1
        while name in self._taken:
            number += 1
            name = f"{requested}_{number}"
        self._taken.add(name)
        return name


def _value(name: str, kind: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TYPES[kind], ["rows", *shape])
