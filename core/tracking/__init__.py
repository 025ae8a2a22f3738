"""Where runs are shown besides the api: MLflow, spoken to over its REST API."""

from core.tracking.hyperparameters import flatten
from core.tracking.mlflow import MetricPoint, MlflowServer
from core.tracking.runs import (
    JOB_TAG,
    PARENT_TAG,
    SWEEP_TAG,
    Artifact,
    DatasetInput,
    RunDescription,
    end_run,
    ensure_run,
    is_deleted,
    mlflow_status,
    tell_whole,
)
from core.tracking.schemas import dataset_profile, dataset_schema

__all__ = [
    "JOB_TAG",
    "PARENT_TAG",
    "SWEEP_TAG",
    "Artifact",
    "DatasetInput",
    "MetricPoint",
    "MlflowServer",
    "RunDescription",
    "dataset_profile",
    "dataset_schema",
    "end_run",
    "ensure_run",
    "flatten",
    "is_deleted",
    "mlflow_status",
    "tell_whole",
]
