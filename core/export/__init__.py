"""Export of trained models as ONNX files and as MLflow model folders."""

from core.export.folder import model_folder
from core.export.model import to_onnx

__all__ = ["model_folder", "to_onnx"]
