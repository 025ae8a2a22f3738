"""Stack keys: jobs of equal key can be trained as one stack."""

import hashlib
import json
import math
from typing import Any

from core.data.table.schema import DatasetSchema
from core.spec.admission import input_shape
from core.spec.job import JobSpec

SMALL = 4_000_000
"""Up to this product of weights and rows per batch, a stack trains faster than its members."""

_STACKABLE = ("loss", "network", "optimizer", "regularization", "schedule")
_IGNORED = ("description", "name", "priority", "seed", "source", "tags")


def stack_key(spec: JobSpec, schema: DatasetSchema, family: str) -> str | None:
    """Return a key that is equal for jobs which can be trained as one stack, or None.

    Such jobs have one `family` and one dataset version. They may differ in seed, name and tags, and
    in floats of network, loss, optimizer, schedule and regularization. None for jobs on a GPU,
    large jobs, and jobs with their own checkpoint intervals.
    """
    if spec.device != "cpu" or spec.checkpoint.every_steps or spec.checkpoint.every_seconds:
        return None
    rows = schema.rows if spec.batch_size == "full" else spec.batch_size
    if spec.network.size(input_shape(spec, schema)) * rows > SMALL:
        return None
    document = spec.model_dump(mode="json", exclude=set(_IGNORED))
    for name in _STACKABLE:
        document[name] = _without_numbers(document[name])
    text = json.dumps([family, document], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _without_numbers(value: Any) -> Any:
    """The document with each finite float replaced by 0."""
    if isinstance(value, dict):
        return {
            name: 0.0 if isinstance(item, float) and math.isfinite(item) else _without_numbers(item)
            for name, item in value.items()
        }
    return [_without_numbers(item) for item in value] if isinstance(value, list) else value
