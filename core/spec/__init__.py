"""The only write schemas: what a client asks for, validated once."""

from core.spec.data import DataSpec, SplitSpec
from core.spec.job import CheckpointSpec, JobSpec
from core.spec.training import EarlyStopping, TrainingSpec

__all__ = ["CheckpointSpec", "DataSpec", "EarlyStopping", "JobSpec", "SplitSpec", "TrainingSpec"]
