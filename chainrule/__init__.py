"""What a person touches: the client, the command line, the embedded stack, the estimators."""

import importlib
from typing import Any

_HOMES = {
    "Client": "chainrule.client",
    "NetworkClassifier": "chainrule.estimators",
    "NetworkRegressor": "chainrule.estimators",
}

__all__ = ["Client", "NetworkClassifier", "NetworkRegressor"]


def __getattr__(name: str) -> Any:
    """Load a public class when it is asked for: the command line needs no NumPy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
