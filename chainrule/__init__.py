"""The client, the command line, the embedded stack and the estimators."""

import importlib
from typing import Any

_HOMES = {
    "Client": "chainrule.client",
    "DeadlineError": "chainrule.client",
    "NetworkClassifier": "chainrule.estimators",
    "NetworkRegressor": "chainrule.estimators",
    "ProblemError": "chainrule.client",
    "UnreachableError": "chainrule.client",
    "fit": "chainrule.fitting",
    "follow": "chainrule.cli.progress",
}

__all__ = [
    "Client",
    "DeadlineError",
    "NetworkClassifier",
    "NetworkRegressor",
    "ProblemError",
    "UnreachableError",
    "fit",
    "follow",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first access: the command line does not need NumPy.

    Raises MissingServerError for an estimator, which trains with `core`, if that is not installed.
    """
    if name not in _HOMES:
        raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
    if _HOMES[name] == "chainrule.estimators":
        importlib.import_module("chainrule.stack").require_server(name)
    return getattr(importlib.import_module(_HOMES[name]), name)
