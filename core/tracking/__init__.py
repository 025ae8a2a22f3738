"""MLflow: its REST API, and jobs and sweeps as its runs."""

from core.tracking.hyperparameters import flatten
from core.tracking.mlflow import MetricPoint, MlflowServer
from core.tracking.runs import (
    JOB_TAG,
    PARENT_TAG,
    SWEEP_TAG,
    Artifact,
    DatasetInput,
    RunDescription,
    create_ended_run,
    end_run,
    ensure_run,
    is_deleted,
    mlflow_status,
)
from core.tracking.schemas import dataset_profile, dataset_schema
