"""A spec as flat hyperparameters, which MLflow can compare between runs."""

import json
from collections.abc import Iterator
from typing import Any

MAX_CHARACTERS = 6000
"""The longest value that MLflow accepts."""


def flatten(document: dict[str, Any]) -> dict[str, str]:
    """`{"optimizer": {"learning_rate": 0.1}}` as `{"optimizer.learning_rate": "0.1"}`.

    Items of a list are numbered from 0, as in `network.0.units`; a list of plain values stays one
    value. Null and empty values are left out.
    """
    return dict(_flat("", document))


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(f"{path}.{key}" if path else str(key), item)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for index, item in enumerate(value):
            yield from _flat(f"{path}.{index}", item)
    elif value is not None and value not in ([], ""):
        text = value if isinstance(value, str) else json.dumps(value)
        yield path, text[:MAX_CHARACTERS]
