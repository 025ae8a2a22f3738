"""The loop: from a JobSpec and a stored dataset version to a trained model, as events."""

from core.training.loop import train
from core.training.model import TrainedModel

__all__ = ["TrainedModel", "train"]
