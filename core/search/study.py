"""Ask a sampler for points and a pruner for verdicts, as functions of the trials so far.

An Optuna study is built in memory from the given trials. Only the state of the sampler's random
numbers is stored besides them (`state`), so that the sampler continues as if it had never been
interrupted.
"""

import base64
import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import optuna
from optuna.samplers._lazy_random_state import LazyRandomState
from optuna.trial import FrozenTrial, TrialState, create_trial

from core.search.dimension import Dimension
from core.search.pruner import Pruner
from core.search.sampler import Sampler

optuna.logging.set_verbosity(optuna.logging.ERROR)

Direction = Literal["minimize", "maximize"]
Outcome = Literal["open", "finished", "pruned", "failed"]

_STATES = {
    "open": TrialState.RUNNING,
    "finished": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}

_RUNG = "completed_rung_"
"""Prefix of the attributes in which successive halving and Hyperband keep the value of a rung."""


@dataclass(frozen=True)
class Search:
    """Search space by path, directions of the objectives, sampler and pruner.

    `name` must differ between sweeps; `epochs` is the number of epochs of a complete trial.
    """

    name: str
    space: Mapping[str, Dimension]
    directions: Sequence[Direction]
    sampler: Sampler
    pruner: Pruner
    epochs: int = 1

    def points(self) -> int | None:
        """Return the number of points of the space; None if they cannot be counted."""
        product = 1
        for dimension in self.space.values():
            count = dimension.points()
            if count is None:
                return None
            product *= count
        return product


@dataclass(frozen=True)
class TrialRecord:
    """A trial as the rows have it: point by path, outcome, objectives, first objective by epoch.

    `attributes` are those that sampler and pruner stored on the trial.
    """

    number: int
    values: Mapping[str, Any]
    outcome: Outcome = "open"
    objectives: Sequence[float] = ()
    reports: Mapping[int, float] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Suggestion:
    """The next trial: its number, its point, and the attributes that the sampler stored on it."""

    number: int
    values: dict[str, Any]
    attributes: dict[str, Any]


def ask(
    search: Search,
    study: optuna.Study,
    first: int,
    count: int,
    state: Mapping[str, Any] | None = None,
    chosen: Mapping[int, Mapping[str, Any]] | None = None,
) -> tuple[list[Suggestion], dict[str, Any]]:
    """Return the next `count` points, from trial `first` on, and the state for the next call.

    `study` holds all trials so far, unless the sampler ignores them. `chosen` are points by trial
    number that the owner chose; the sampler fills in fields that they leave out.
    """
    distributions = _distributions(search)
    study.sampler = sampler = search.sampler.make(distributions)
    _restore(study, sampler, state or {})
    suggestions = []
    for number in range(first, first + count):
        if chosen is not None and number in chosen:
            study.enqueue_trial(_encoded(search, chosen[number]))
        trial = study.ask(dict(distributions))
        attributes = study._storage.get_trial_system_attrs(trial._trial_id)
        suggestions.append(
            Suggestion(number, _decoded(search, trial.params), _serializable(attributes))
        )
    return suggestions, _state(study, sampler)


def judge(
    study: optuna.Study, record: TrialRecord, *, after: int = 0
) -> tuple[int | None, dict[str, Any]]:
    """Return the epoch at which a trial should be pruned, or None, and its attributes.

    `study` holds all trials, this one included. The epochs after `after` are judged one by one, so
    that the verdict on a trial's own reports does not depend on how often it is asked for.
    """
    trial_id = study._storage.get_trial_id_from_study_id_trial_number(
        study._study_id, record.number
    )
    verdict = None
    for epoch in sorted(epoch for epoch in record.reports if epoch > after):
        trial = copy.copy(study._storage.get_trial(trial_id))
        trial.intermediate_values = {e: v for e, v in record.reports.items() if e <= epoch}
        if study.pruner.prune(study, trial):
            verdict = epoch
            break
    return verdict, _serializable(study._storage.get_trial_system_attrs(trial_id))


def without_rungs(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a trial without the rungs that a pruner stored."""
    return {key: value for key, value in attributes.items() if not key.startswith(_RUNG)}


def write_trial(search: Search, study: optuna.Study, record: TrialRecord) -> None:
    """Replace a trial of the study by `record`, or append it."""
    trial = _frozen(search, record, _distributions(search))
    storage, study_id = study._storage, study._study_id
    if record.number >= storage.get_n_trials(study_id):
        storage.create_new_trial(study_id, template_trial=trial)
        return
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, record.number)
    trial.number, trial._trial_id = record.number, trial_id
    # Optuna's public methods refuse to change a trial that has ended.
    storage._set_trial(trial_id, trial)
    storage._update_cache(trial_id, study_id)


def build_study(search: Search, records: Sequence[TrialRecord]) -> optuna.Study:
    """Return an Optuna study in memory that holds these trials."""
    study = optuna.create_study(
        study_name=search.name,
        directions=list(search.directions),
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=search.pruner.make(search.epochs),
    )
    distributions = _distributions(search)
    for record in records:
        study._storage.create_new_trial(
            study._study_id, template_trial=_frozen(search, record, distributions)
        )
    return study


def _frozen(search: Search, record: TrialRecord, distributions: Mapping[str, Any]) -> FrozenTrial:
    """Return a trial in Optuna's form.

    A trial that has ended and does not lie in the space, which was edited since, counts as failed:
    its result says nothing about the space.
    """
    placed = {
        path: _widened(search.space[path], distributions[path], value)
        for path, value in record.values.items()
        if path in search.space
    }
    outcome = record.outcome
    if None in placed.values() and outcome != "open":
        outcome = "failed"
    known = {path: value for path, value in placed.items() if value is not None}
    objectives = list(record.objectives) or None
    trial = create_trial(
        state=_STATES[outcome],
        params=_encoded(search, {path: record.values[path] for path in known}),
        distributions=known,
        values=objectives if outcome in ("finished", "pruned") else None,
        intermediate_values=dict(record.reports),
        system_attrs=dict(record.attributes),
    )
    if outcome == "open":
        trial.datetime_complete = None
    return trial


def _widened(dimension: Dimension, distribution: Any, value: Any) -> Any:
    """Return the distribution, widened to contain a value of an earlier space; None if it cannot.

    Only the ends of numbers can be widened.
    """
    if dimension.contains(value):
        return distribution
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if not numeric or not hasattr(distribution, "low") or (distribution.log and value <= 0):
        return None
    whole = isinstance(distribution, optuna.distributions.IntDistribution)
    if whole and not float(value).is_integer():
        return None
    low, high = min(distribution.low, value), max(distribution.high, value)
    return type(distribution)(low, high, log=distribution.log)


def _distributions(search: Search) -> dict[str, Any]:
    return {path: dimension.distribution() for path, dimension in search.space.items()}


def _encoded(search: Search, values: Mapping[str, Any]) -> dict[str, Any]:
    return {path: search.space[path].to_optuna(value) for path, value in values.items()}


def _decoded(search: Search, values: Mapping[str, Any]) -> dict[str, Any]:
    return {path: search.space[path].from_optuna(values[path]) for path in search.space}


def _serializable(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a trial without pickled optimizers."""
    return {key: value for key, value in attributes.items() if ":optimizer" not in key}


def _state(study: optuna.Study, sampler: Any) -> dict[str, Any]:
    """Return the sampler's random state and its attributes of the study, as JSON."""
    return {
        "random": [_packed(source.rng) for source in _random_states(sampler)],
        "study": dict(study._storage.get_study_system_attrs(study._study_id)),
    }


def _restore(study: optuna.Study, sampler: Any, state: Mapping[str, Any]) -> None:
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


class quiet(warnings.catch_warnings):  # noqa: N801
    """Context in which Optuna's warnings are ignored."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
