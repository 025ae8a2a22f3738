"""Links to pages of MLflow."""

from core.settings import Settings


def page_url(settings: Settings, experiment_id: str | None, page: str = "") -> str | None:
    """The URL of a `page` of an experiment; None without MLflow or experiment."""
    base = (settings.mlflow_public_url or settings.mlflow_url).rstrip("/")
    return f"{base}/#/experiments/{experiment_id}{page}" if base and experiment_id else None
