"""The client, the command line, the embedded stack and the estimators."""

import importlib
from typing import Any

from chainrule.stack import require_server

_HOMES = {
    "Client": "chainrule.client",
    "NetworkClassifier": "chainrule.estimators",
    "NetworkRegressor": "chainrule.estimators",
    "fit": "chainrule.fitting",
}

__all__ = ["Client", "NetworkClassifier", "NetworkRegressor", "fit"]


def __getattr__(name: str) -> Any:
    """Import a public name on first access: the command line does not need NumPy.

    Raises MissingServerError for an estimator, which trains with `core`, if that is not installed.
    """
    if name not in _HOMES:
        raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
    if _HOMES[name] == "chainrule.estimators":
        require_server(name)
    return getattr(importlib.import_module(_HOMES[name]), name)
