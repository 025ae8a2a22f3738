"""How layers become ONNX nodes, a family of them a file."""

from core.family import load

load(__name__, __path__)
