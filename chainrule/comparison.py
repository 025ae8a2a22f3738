"""Compare two jobs: what was asked for, where it ran, what came of it."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from chainrule.transport import Document
from core.events import MACHINE

KERNEL = "environment.blas"
"""Where jobs say the BLAS, its version and the kernel that it chose for the processor."""
ABSENT = "-"
"""Stands for what one of two jobs does not have."""


@dataclass(frozen=True)
class Difference:
    """One place where two jobs differ, like `spec.optimizer.learning_rate`."""

    path: str
    left: Any
    right: Any


def differences(left: Document, right: Document) -> list[Difference]:
    """All that differs between two jobs: data, spec, source, environment, results.

    The source of a job is expected under `source`, as the api tells it.
    """
    found: list[Difference] = []
    for name, pick in (
        ("dataset", lambda job: job.get("dataset")),
        ("spec", lambda job: job.get("spec")),
        ("source", _source),
        ("environment", _environment),
        ("result", _result),
    ):
        found += _walk(name, pick(left), pick(right))
    return found


def identical_weights(left: Document, right: Document) -> bool | None:
    """Whether both jobs ended with the same weights; None when one of them has none."""
    digests = left.get("weights_digest"), right.get("weights_digest")
    return None if None in digests else digests[0] == digests[1]


def other_kernel(found: Iterable[Difference]) -> str | None:
    """What is to be said when the two jobs multiplied matrices with different BLAS kernels."""
    for one in found:
        if one.path == KERNEL:
            return (
                f"the BLAS kernels differ: {one.left} | {one.right}. Equal bits can be expected of "
                "the same kernel only"
            )
    return None


def first_difference(
    left: Iterable[Document], right: Iterable[Document]
) -> tuple[int, Difference] | None:
    """The epoch and the metric at which two histories part, or None when they are equal."""
    before, after = _points(left), _points(right)
    for place in sorted(before.keys() | after.keys()):
        one, other = before.get(place, ABSENT), after.get(place, ABSENT)
        if one != other:
            epoch, _, key = place
            return epoch, Difference(key, one, other)
    return None


def _points(items: Iterable[Document]) -> dict[tuple[int, int, str], Any]:
    return {
        (item["epoch"], item["step"], item["key"]): item["value"]
        for item in items
        if not item["key"].startswith(MACHINE)
    }


def _source(job: Document) -> Document:
    """Where the code stood; its texts as digests, for whole files say little in a table."""
    found = job.get("source") or {}
    named = {name: found[name] for name in ("repository", "commit", "branch") if name in found}
    texts = {"changes": found.get("diff") or "", **(found.get("files") or {})}
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
            one, other = (side[index] if index < len(side) else ABSENT for side in (left, right))
            yield from _walk(f"{path}[{index}]", one, other)
    elif left != right:
        yield Difference(path, left, right)
