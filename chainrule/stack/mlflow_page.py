"""MLflow's page with defaults for training, in force before its own scripts run.

A browser that never opened MLflow would show tools for language models first, an assistant that the
guard refuses, and notices. MLflow reads such choices from the local storage of the browser. On our
page it reads a default where nothing is stored, so that every choice of a person counts.
"""

import json
from collections.abc import Mapping, Sequence

DEFAULTS: Mapping[str, object] = {
    # Pages for training: runs, charts and models.
    "mlflow.workflowType_v1": "machine_learning",
    # The notice about usage data; the server sends none.
    "mlflow.telemetry.info.alert.dismissed_v1": True,
    "mlflow.settings.telemetry.enabled_v1": False,
    # The panel that opens by itself on the first visit.
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": True,
    # Windows that explain pages of traces and models.
    "mlflow.detectIssues.guidanceShown_v1": True,
    "mlflow.flagForReview.guidanceShown_v1": True,
    "_mlflow_model_registry_promo_modal_dismissed_v1": True,
}
"""Values by key of the local storage, as MLflow's pages read them."""

COLUMNS: Sequence[str] = (
    "attributes.`Dataset`",
    *(
        f"metrics.`{part}/{name}`"
        for name in ("accuracy", "f1", "r2", "rmse", "mae", "loss")
        for part in ("best/test", "best/valid", "test", "valid")
    ),
    "metrics.`train/loss`",
    "tags.`chainrule.best_epoch`",
    "params.`optimizer.kind`",
    "params.`optimizer.learning_rate`",
)
"""Columns of the table of runs, of which MLflow shows those that a run has; `best` is of sweeps."""

_SCRIPT = """<script>
{
  const defaults = new Map(Object.entries(%s));
  const table = /^MLflowLocalStorage-[0-9.]+-ExperimentPage-.*-ReactComponentState$/;
  const read = Storage.prototype.getItem;
  Storage.prototype.getItem = function (key) {
    return read.call(this, key) ?? defaults.get(table.test(key) ? "" : key) ?? null;
  };
}
</script>"""

_STYLE = """<style>
[data-assistant-ui], div:has(> div[role="button"][aria-pressed]) {display: none !important}
</style>"""
"""Hides the buttons and the panel of the assistant."""


def with_defaults(page: str) -> str:
    """Return MLflow's page with the script of the defaults, and without the assistant."""
    values = {**DEFAULTS, "": {"selectedColumns": COLUMNS}}
    defaults = json.dumps({key: json.dumps(value) for key, value in values.items()})
    return page.replace("<head>", f"<head>{_SCRIPT % defaults}{_STYLE}", 1)
