"""Links to pages of MLflow."""

from core.settings import Settings

_TRAINING = "?workflowType=machine_learning"
"""Makes MLflow's page show training, not tools for language models, on any server."""


def page_url(settings: Settings, experiment_id: str | None, page: str = "") -> str | None:
    """The URL of a `page` of an experiment; None without MLflow or experiment."""
    base = (settings.mlflow_public_url or settings.mlflow_url).rstrip("/")
    if not base or not experiment_id:
        return None
    return f"{base}/#/experiments/{experiment_id}{page}{_TRAINING}"
