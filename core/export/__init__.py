"""Trained models in forms that others can score: ONNX, and MLflow's model folder around it."""

from core.export.folder import model_folder
from core.export.model import to_onnx

__all__ = ["model_folder", "to_onnx"]
