"""A growing ONNX graph: nodes and constants with names that are taken once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
ML_DOMAIN, ML_OPSET = "ai.onnx.ml", 3
"""Where nodes for categories are, in the version that all runtimes know."""
IR_VERSION = 9
"""What onnxruntime has read since 2024: newer numbers would lock older runtimes out."""

TYPES = {
    "float": TensorProto.FLOAT,
    "double": TensorProto.DOUBLE,
    "long": TensorProto.INT64,
    "boolean": TensorProto.BOOL,
    "string": TensorProto.STRING,
}
"""MLflow's words for the types of values, and ONNX's."""


class Graph:
    """Nodes in order. A value is known by its name; methods return the name of what they make."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._taken: set[str] = set()

    def input(self, name: str, kind: str, shape: Sequence[int]) -> str:
        """An input `(rows, *shape)` of a type named as in `TYPES`."""
        self._taken.add(name)
        self._inputs.append(_value(name, kind, shape))
        return name

    def output(self, wanted: str, value: str, kind: str, shape: Sequence[int] = ()) -> str:
        """Give `value (rows, *shape)` out as `wanted`, or a name close to it that is free."""
        name = self._free(wanted)
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(_value(name, kind, shape))
        return name

    def constant(self, value: NDArray[Any]) -> str:
        """An array kept in the file."""
        name = self._free(f"constant.{len(self._constants)}")
        self._constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def weight(self, value: NDArray[Any]) -> str:
        """An array that the network computes with, float32."""
        return self.constant(np.asarray(value, np.float32))

    def sizes(self, *values: int) -> str:
        """Axes or extents, as nodes take them: a row of int64."""
        return self.constant(np.array(values, np.int64))

    def add(self, op: str, *inputs: str, outputs: int = 1, keep: int = 0, **attributes: Any) -> str:
        """A node; the name of its output number `keep` of `outputs`. An empty input is none."""
        own = self._free(f"{op.lower()}.{len(self._nodes)}")
        names = [own if index == keep else "" for index in range(outputs)]
        self._nodes.append(helper.make_node(op, list(inputs), names, name=own, **attributes))
        return own

    def cast(self, value: str, kind: str) -> str:
        """The value as another type of `TYPES`."""
        return self.add("Cast", value, to=TYPES[kind])

    def reshape(self, value: str, shape: Sequence[int]) -> str:
        """The value as `(rows, *shape)`, whatever the number of rows."""
        return self.add("Reshape", value, self.sizes(0, *shape))

    def build(self, name: str) -> onnx.ModelProto:
        """The finished model, checked. Raises onnx's ValidationError when it is none."""
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

    def _free(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._taken:
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        return name


def _value(name: str, kind: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TYPES[kind], ["rows", *shape])
