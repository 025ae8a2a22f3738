"""Which jobs can be trained as one stack: those that differ only in what a stack lets differ."""

import hashlib
import json
import math
from typing import Any

from core.data.table.schema import DatasetSchema
from core.spec.admission import input_shape
from core.spec.job import JobSpec

SMALL = 4_000_000
"""Products of weights and rows in a batch up to which a stack is worth more than its members."""

_NUMBERS = ("loss", "network", "optimizer", "regularization", "schedule")
_FREE = ("description", "name", "priority", "seed", "source", "tags")


def stack_key(spec: JobSpec, schema: DatasetSchema, family: str) -> str | None:
    """Equal for jobs of one `family` and one dataset version that can be trained side by side.

    They may differ in seed, name and tags, and in numbers of network, loss, optimizer, schedule and
    regularization. None for a job that gains nothing by it, or that wants checkpoints of its own.
    """
    if spec.device != "cpu" or spec.checkpoint.every_steps or spec.checkpoint.every_seconds:
        return None
    rows = schema.rows if spec.batch_size == "full" else spec.batch_size
    if spec.network.size(input_shape(spec, schema)) * rows > SMALL:
        return None
    document = spec.model_dump(mode="json", exclude=set(_FREE))
    for name in _NUMBERS:
        document[name] = _without_numbers(document[name])
    text = json.dumps([family, document], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _without_numbers(value: Any) -> Any:
    """The document with every field that holds a finite float emptied."""
    if isinstance(value, dict):
        return {
            name: 0.0 if isinstance(item, float) and math.isfinite(item) else _without_numbers(item)
            for name, item in value.items()
        }
    return [_without_numbers(item) for item in value] if isinstance(value, list) else value
