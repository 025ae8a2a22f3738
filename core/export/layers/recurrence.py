"""Exporter of recurrent layers. ONNX orders gates differently and has time before rows."""

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
"""By kind: the node, the index of our gate at each of its positions, and its attributes."""


@exports(*NODES)
def recurrent(graph: Graph, x: str, layer: Recurrent, place: Place) -> str:
    """Add the node; return the last state, or all if the layer returns sequences."""
    op, order, attributes = NODES[layer.kind]

    def ordered(name: str) -> Array:
        gates = np.split(np.asarray(place.arrays[name]), len(order), axis=-1)
        return np.concatenate([gates[gate] for gate in order], axis=-1)

    bias = ordered("bias")
    recurrent_bias = np.zeros_like(bias)
    if "candidate_bias" in place.arrays:
        recurrent_bias[-layer.units :] = place.arrays["candidate_bias"]
    y = graph.add(
        op,
        graph.add("Transpose", x, perm=[1, 0, 2]),
        graph.weight(ordered("weight").T[None]),
        graph.weight(ordered("recurrent").T[None]),
        graph.weight(np.concatenate([bias, recurrent_bias])[None]),
        outputs=1 if layer.return_sequences else 2,
        keep=0 if layer.return_sequences else 1,
        hidden_size=layer.units,
        **attributes,
    )
    if not layer.return_sequences:
        return graph.add("Squeeze", y, graph.sizes(0))
    return graph.add("Transpose", graph.add("Squeeze", y, graph.sizes(1)), perm=[1, 0, 2])
