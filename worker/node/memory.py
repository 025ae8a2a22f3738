"""How much memory a slot has for the rows it trains on."""

import math
import os
from contextlib import suppress
from pathlib import Path

from core.data.table.schema import DatasetSchema
from core.spec import JobSpec
from core.spec.admission import BYTES, input_shape
from core.training.dataset.types import COPIES

SHARE = 0.5
"""Of a slot's memory: the rest is for the network, the optimizer and the interpreter."""

_GROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def for_rows(given: int, runner_bytes: int, slots: int) -> int:
    """`given` bytes, or when that is 0 half of a slot's part of what this machine lets us have.

    `runner_bytes` is the limit of a runner, 0 without one.
    """
    if given:
        return given
    part = there_is() // max(1, slots)
    return int(SHARE * (min(part, runner_bytes) if runner_bytes else part))


def fits(spec: JobSpec, schema: DatasetSchema, memory_bytes: int) -> bool:
    """Whether the rows of a job can be prepared in memory, by what is known before they are read.

    `memory_bytes` is what the slot has; the job may say otherwise.
    """
    numbers = schema.rows * math.prod(input_shape(spec, schema))
    return numbers * BYTES[spec.precision] * COPIES <= (spec.data.memory_bytes or memory_bytes)


def there_is() -> int:
    """Memory of this machine or, if that is less, of the control group this process is in."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _GROUP_LIMITS:
        with suppress(OSError, ValueError):  # `max`: no limit
            found = min(found, int(path.read_text()))
    return found
