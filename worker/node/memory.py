"""How much memory a slot has for the rows it trains on."""

import math
import os
from contextlib import suppress
from pathlib import Path

from core.data.table.schema import DatasetSchema
from core.spec import JobSpec
from core.spec.admission import BYTES, input_shape
from core.training.dataset import COPIES

ROW_SHARE = 0.5
"""Share of a slot's memory for rows; the rest is for network, optimizer and interpreter."""

_GROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def row_memory(configured: int, runner_bytes: int, slots: int) -> int:
    """`configured` bytes, or if that is 0 half of a slot's share of the machine's memory.

    `runner_bytes` is the limit of a runner, 0 without one; a slot's share is never larger.
    """
    if configured:
        return configured
    share = machine_memory() // max(1, slots)
    return int(ROW_SHARE * (min(share, runner_bytes) if runner_bytes else share))


def rows_fit(spec: JobSpec, schema: DatasetSchema, memory_bytes: int) -> bool:
    """Whether the rows of a job fit into memory once prepared, estimated from spec and schema.

    `memory_bytes` is what the slot has; the spec may set another limit.
    """
    values = schema.rows * math.prod(input_shape(spec, schema))
    return values * BYTES[spec.precision] * COPIES <= (spec.data.memory_bytes or memory_bytes)


def machine_memory() -> int:
    """Bytes of memory of this machine, or of this process's control group if that has fewer."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _GROUP_LIMITS:
        with suppress(OSError, ValueError):  # `max`: no limit
            total = min(total, int(path.read_text()))
    return total
