"""How long one row takes, through us and through `mlflow models serve`."""
