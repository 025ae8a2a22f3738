"""Compare two jobs: their specs, environments and results."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from chainrule.client.transport import Document
from chainrule.contract.metric_names import MACHINE

_ENVIRONMENT = "environment"
KERNEL = f"{_ENVIRONMENT}.blas"
"""Path of the BLAS of a job, with its version and the kernel for the processor."""
ABSENT = "-"
"""Value for what one of two jobs does not have."""


@dataclass(frozen=True)
class Difference:
    """One place where two jobs differ, like `spec.optimizer.learning_rate`."""

    path: str
    left: Any
    right: Any


def differences(left: Document, right: Document) -> list[Difference]:
    """Return all differences between two jobs: dataset, spec, source, environment, results.

    Each job holds its source under `source`, as the API returns it.
    """
    rows: list[Difference] = []
    for name, pick in (
        ("dataset", lambda job: job.get("dataset")),
        ("spec", lambda job: job.get("spec")),
        ("source", _source),
        (_ENVIRONMENT, _environment),
        ("result", _result),
    ):
        rows += _walk(name, pick(left), pick(right))
    return rows


def identical_weights(left: Document, right: Document) -> bool | None:
    """Return whether both jobs have the same weights, or None if one has none."""
    digests = left.get("weights_digest"), right.get("weights_digest")
    return None if None in digests else digests[0] == digests[1]


def other_kernel(rows: Iterable[Difference]) -> str | None:
    """Return a sentence if the two jobs used different BLAS kernels, else None."""
    for row in rows:
        if row.path == KERNEL:
            return (
                f"the BLAS kernels differ: {row.left} | {row.right}. Only the same kernel gives "
                "identical weights"
            )
    return None


def first_difference(
    left: Iterable[Document], right: Iterable[Document]
) -> tuple[int, Difference] | None:
    """Return the first epoch and metric that differ, or None if the histories are equal."""
    before, after = _points(left), _points(right)
    for place in sorted(before.keys() | after.keys()):
        first, second = before.get(place, ABSENT), after.get(place, ABSENT)
        if first != second:
            epoch, _, key = place
            return epoch, Difference(key, first, second)
    return None


def first_layer(left: Document | None, right: Document | None) -> str | None:
    """Return the path of the first layer whose outputs differ, such as `network[2]`.

    The arguments are the insights of two jobs with equal networks. Returns None if no layer
    differs or a job has no insights.
    """
    before: Document = (left or {}).get("activations", {})
    after: Document = (right or {}).get("activations", {})
    for path in sorted(before.keys() & after.keys(), key=_position):
        if before[path] != after[path]:
            return str(path)
    return None


def _position(path: str) -> list[int]:
    """Return the indices in the path of a layer: a database does not keep the order of layers."""
    return [int(index) for index in re.findall(r"\d+", path)]


def other_environment(rows: Iterable[Difference]) -> str | None:
    """Return a sentence with all that differs between two environments, else None."""
    prefix = f"{_ENVIRONMENT}."
    parts = [
        f"{row.path.removeprefix(prefix)} {row.left} | {row.right}"
        for row in rows
        if row.path.startswith(prefix)
    ]
    return f"the environments differ: {', '.join(parts)}" if parts else None


def _points(items: Iterable[Document]) -> dict[tuple[int, int, str], Any]:
    return {
        (item["epoch"], item["step"], item["key"]): item["value"]
        for item in items
        if not item["key"].startswith(MACHINE)
    }


def _source(job: Document) -> Document:
    """Return the commit of a job, and digests of its changes and new files."""
    code = job.get("source") or {}
    named = {name: code[name] for name in ("repository", "commit", "branch") if name in code}
    texts = {"changes": code.get("diff") or "", **(code.get("files") or {})}
    digests = {
        name: f"sha256 {hashlib.sha256(text.encode()).hexdigest()[:8]}"
        for name, text in texts.items()
        if text
    }
    return named | digests


def _environment(job: Document) -> Document:
    attempts = job.get("attempts") or []
    return {"node": attempts[-1]["node"], **(attempts[-1]["versions"] or {})} if attempts else {}


def _result(job: Document) -> Document:
    names = ("status", "epochs", "reason", "weights_digest", "last_metrics")
    return {name: job.get(name) for name in names}


def _walk(path: str, left: Any, right: Any) -> Iterator[Difference]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in [*left, *(name for name in right if name not in left)]:
            yield from _walk(f"{path}.{name}", left.get(name, ABSENT), right.get(name, ABSENT))
    elif isinstance(left, list) and isinstance(right, list):
        for index in range(max(len(left), len(right))):
            pair = (side[index] if index < len(side) else ABSENT for side in (left, right))
            yield from _walk(f"{path}[{index}]", *pair)
    elif left != right:
        yield Difference(path, left, right)
