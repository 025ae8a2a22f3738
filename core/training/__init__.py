"""The loop: from a JobSpec and a stored dataset version to a trained model, as events."""

from core.training.loop import train, train_stack
from core.training.model import TrainedModel
from core.training.run import Leave

__all__ = ["Leave", "TrainedModel", "train", "train_stack"]
