"""MLflow: its REST API, jobs and sweeps as its runs, models in its registry."""

from core.tracking.hyperparameters import flatten
from core.tracking.logged_models import ModelDescription, find_model
from core.tracking.mlflow import MetricPoint, MlflowServer, accepts_files
from core.tracking.model_registry import ModelRegistry, ShownModel, ShownVersion, is_alias
from core.tracking.runs import (
    JOB_TAG,
    PARENT_TAG,
    SWEEP_TAG,
    Artifact,
    DatasetInput,
    RunDescription,
    create_ended_run,
    delete_runs,
    end_run,
    ensure_run,
    is_deleted,
    mlflow_status,
)
from core.tracking.schemas import dataset_profile, dataset_schema
