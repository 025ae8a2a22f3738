"""A spec as flat hyperparameters, the way MLflow shows and compares them."""

import json
from collections.abc import Iterator
from typing import Any

MOST_CHARACTERS = 6000
"""MLflow refuses longer values."""


def flatten(document: dict[str, Any]) -> dict[str, str]:
    """`{"optimizer": {"learning_rate": 0.1}}` as `{"optimizer.learning_rate": "0.1"}`.

    Lists count from 0: `network.0.units`; a list of plain values stays one value. What is null or
    empty is left out: it was not chosen.
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
        yield path, text[:MOST_CHARACTERS]
