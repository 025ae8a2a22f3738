"""Recurrent layers. ONNX orders the gates differently and wants time before rows."""

from typing import Any

import numpy as np

from core.export.graph import Graph
from core.export.member import Place, exports
from core.nn.array import Array
from core.nn.ops.recurrence import Recurrent

NODES: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "gru": ("GRU", (1, 0, 2), {"linear_before_reset": 1}),  # ours: r z n
    "lstm": ("LSTM", (0, 2, 1, 3), {}),  # ours: i f o g
    "recurrent": ("RNN", (0,), {}),
}
"""The node of each kind, which of our gates comes at each of its places, and its attributes."""


@exports(*NODES)
def recurrent(graph: Graph, x: str, layer: Recurrent, place: Place) -> str:
    """The last state, or all."""
    op, order, attributes = NODES[layer.kind]

    def ordered(name: str) -> Array:
        gates = np.split(np.asarray(place.arrays[name]), len(order), axis=-1)
        return np.concatenate([gates[gate] for gate in order], axis=-1)

    bias = ordered("bias")
    again = np.zeros_like(bias)
    if "candidate_bias" in place.arrays:
        again[-layer.units :] = place.arrays["candidate_bias"]
    y = graph.add(
        op,
        graph.add("Transpose", x, perm=[1, 0, 2]),
        graph.weight(ordered("weight").T[None]),
        graph.weight(ordered("recurrent").T[None]),
        graph.weight(np.concatenate([bias, again])[None]),
        outputs=1 if layer.return_sequences else 2,
        keep=0 if layer.return_sequences else 1,
        hidden_size=layer.units,
        **attributes,
    )
    if not layer.return_sequences:
        return graph.add("Squeeze", y, graph.sizes(0))
    return graph.add("Transpose", graph.add("Squeeze", y, graph.sizes(1)), perm=[1, 0, 2])
