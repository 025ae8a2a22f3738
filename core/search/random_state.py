"""State of a sampler's random numbers, saved as JSON and restored."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.samplers._lazy_random_state import LazyRandomState


def save_state(study: optuna.Study, sampler: Any) -> dict[str, Any]:
    """Return the sampler's random state and its attributes of the study, as JSON."""
    return {
        "random": [_packed(source.rng) for source in _random_states(sampler)],
        "study": dict(study._storage.get_study_system_attrs(study._study_id)),
    }


def restore_state(study: optuna.Study, sampler: Any, state: Mapping[str, Any]) -> None:
    """Set the random state of a sampler and its attributes of the study to a saved state."""
    for source, packed in zip(_random_states(sampler), state.get("random", ()), strict=False):
        source.rng.set_state(_unpacked(packed))
    for key, value in state.get("study", {}).items():
        study._storage.set_study_system_attr(study._study_id, key, value)


def _random_states(sampler: Any) -> Iterator[LazyRandomState]:
    """Yield the random states inside a sampler, each once, in a fixed order."""
    seen: set[int] = set()
    remaining = [sampler]
    while remaining:
        item = remaining.pop()
        if id(item) in seen or not type(item).__module__.startswith(("optuna.", "core.search.")):
            continue
        seen.add(id(item))
        if isinstance(item, LazyRandomState):
            yield item
            continue
        remaining += [value for _, value in sorted(getattr(item, "__dict__", {}).items())]


def _packed(rng: np.random.RandomState) -> dict[str, Any]:
    _, key, position, has_gauss, gauss = rng.get_state(legacy=True)
    text = base64.b64encode(np.asarray(key, "<u4").tobytes()).decode()
    return {"key": text, "position": position, "has_gauss": has_gauss, "gauss": gauss}


def _unpacked(packed: Mapping[str, Any]) -> tuple[Any, ...]:
    key = np.frombuffer(base64.b64decode(packed["key"]), "<u4")
    return "MT19937", key, packed["position"], packed["has_gauss"], packed["gauss"]
