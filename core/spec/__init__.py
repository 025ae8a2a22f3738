"""Specs: the write schemas of jobs and sweeps."""

from core.spec.data import DataSpec, SplitSpec
from core.spec.job import CheckpointSpec, JobSpec
from core.spec.training import EarlyStopping, TrainingSpec

__all__ = ["CheckpointSpec", "DataSpec", "EarlyStopping", "JobSpec", "SplitSpec", "TrainingSpec"]
