"""Ask and judge: pure functions of what a sweep has tried so far.

A study is made anew in memory from the trials given; besides them only the state of the sampler's
random numbers has to be kept (`state`), so that it draws on as if it had never been interrupted.
"""

import base64
import copy
import math
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
"""What successive halving and Hyperband note on a trial: its value at the end of each rung."""


@dataclass(frozen=True)
class Search:
    """What is searched: fields by path, by which sampler and pruner, towards which directions.

    `name` only has to differ between sweeps; `epochs` is how long a trial trains at most.
    """

    name: str
    space: Mapping[str, Dimension]
    directions: Sequence[Direction]
    sampler: Sampler
    pruner: Pruner
    epochs: int = 1

    def points(self) -> int | None:
        """How many points the space has; None: too many to count."""
        product = 1
        for dimension in self.space.values():
            count = dimension.points()
            if count is None:
                return None
            product *= count
        return product


@dataclass(frozen=True)
class Tried:
    """A trial as the rows have it: its point, how it stands, its objectives, what it reported.

    `attributes` is what sampler and pruner noted on it.
    """

    number: int
    values: Mapping[str, Any]
    outcome: Outcome = "open"
    objectives: Sequence[float] = ()
    reports: Mapping[int, float] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Suggestion:
    """The next trial: its number, its point, and what the sampler noted on it."""

    number: int
    values: dict[str, Any]
    attributes: dict[str, Any]


def ask(
    search: Search,
    study: optuna.Study,
    first: int,
    count: int,
    state: Mapping[str, Any] | None = None,
    wanted: Mapping[int, Mapping[str, Any]] | None = None,
) -> tuple[list[Suggestion], dict[str, Any]]:
    """The next `count` points, and the state to ask with next time.

    `study` has tried all so far, if its sampler looks at them; the next trial is number `first`.
    `wanted` are points that somebody chose, by number; they may leave fields to the sampler.
    """
    distributions = _distributions(search)
    study.sampler = sampler = search.sampler.make(distributions)
    _restore(study, sampler, state or {})
    found = []
    for number in range(first, first + count):
        if wanted is not None and number in wanted:
            study.enqueue_trial(_encoded(search, wanted[number]))
        trial = study.ask(dict(distributions))
        attributes = study._storage.get_trial_system_attrs(trial._trial_id)
        found.append(Suggestion(number, _decoded(search, trial.params), _kept(attributes)))
    return found, _state(study, sampler)


def judge(study: optuna.Study, mine: Tried, *, seen: int = 0) -> tuple[int | None, dict[str, Any]]:
    """The epoch at which trial `mine` should be pruned, None if at none; its attributes then.

    `study` knows all trials, `mine` among them. Judged are the epochs it reported after `seen`, one
    after another, so how often one looks decides nothing about that trial's own reports.
    """
    trial_id = study._storage.get_trial_id_from_study_id_trial_number(study._study_id, mine.number)
    verdict = None
    for epoch in sorted(epoch for epoch in mine.reports if epoch > seen):
        frozen = _seen_until(copy.copy(study._storage.get_trial(trial_id)), mine, epoch)
        if study.pruner.prune(study, frozen):
            verdict = epoch
            break
    return verdict, _kept(study._storage.get_trial_system_attrs(trial_id))


def unjudged(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What the sampler noted on a trial, without the rungs that a pruner let it pass."""
    return {key: value for key, value in attributes.items() if not key.startswith(_RUNG)}


def _seen_until(trial: FrozenTrial, mine: Tried, epoch: int) -> FrozenTrial:
    """The trial as it was when it had reported `epoch`."""
    trial.intermediate_values = {e: v for e, v in mine.reports.items() if e <= epoch}
    return trial


def put(search: Search, study: optuna.Study, one: Tried) -> None:
    """Let a trial stand in the study as it does in the rows; one that is not there comes last."""
    made = _frozen(search, one, _distributions(search))
    storage, study_id = study._storage, study._study_id
    if one.number >= storage.get_n_trials(study_id):
        storage.create_new_trial(study_id, template_trial=made)
        return
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, one.number)
    made.number, made._trial_id = one.number, trial_id
    # Its own ways to change a trial know no going back from an end, and no new attributes then.
    storage._set_trial(trial_id, made)
    storage._update_cache(trial_id, study_id)


def study_of(search: Search, tried: Sequence[Tried]) -> optuna.Study:
    """An Optuna study in memory that has tried the same."""
    study = optuna.create_study(
        study_name=search.name,
        directions=list(search.directions),
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=search.pruner.make(search.epochs),
    )
    distributions = _distributions(search)
    for one in tried:
        study._storage.create_new_trial(
            study._study_id, template_trial=_frozen(search, one, distributions)
        )
    return study


def _frozen(search: Search, one: Tried, distributions: Mapping[str, Any]) -> FrozenTrial:
    """A trial as Optuna knows it. One that the space, edited since, has no place for counts as
    failed: what came of it says nothing about the space."""
    placed = {
        path: _reaching(search.space[path], distributions[path], value)
        for path, value in one.values.items()
        if path in search.space
    }
    outcome = one.outcome
    if None in placed.values() and outcome != "open":
        outcome = "failed"
    known = {path: value for path, value in placed.items() if value is not None}
    values = list(one.objectives) or None
    made = create_trial(
        state=_STATES[outcome],
        params=_encoded(search, {path: one.values[path] for path in known}),
        distributions=known,
        values=values if outcome in ("finished", "pruned") else None,
        intermediate_values=dict(one.reports),
        system_attrs=dict(one.attributes),
    )
    if outcome == "open":
        made.datetime_complete = None
    return made


def _reaching(dimension: Dimension, distribution: Any, value: Any) -> Any:
    """The dimension's distribution, wide enough for a value of an earlier one; None: it cannot."""
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


def _kept(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What is worth keeping of a trial's attributes: no pickled optimizers."""
    return {key: value for key, value in attributes.items() if ":optimizer" not in key}


def _state(study: optuna.Study, sampler: Any) -> dict[str, Any]:
    """The sampler's random numbers and what it noted on the study, as JSON."""
    return {
        "random": [_packed(one.rng) for one in _random_states(sampler)],
        "study": dict(study._storage.get_study_system_attrs(study._study_id)),
    }


def _restore(study: optuna.Study, sampler: Any, state: Mapping[str, Any]) -> None:
    for one, packed in zip(_random_states(sampler), state.get("random", ()), strict=False):
        one.rng.set_state(_unpacked(packed))
    for key, value in state.get("study", {}).items():
        study._storage.set_study_system_attr(study._study_id, key, value)


def _random_states(sampler: Any) -> Iterator[LazyRandomState]:
    """The sampler's sources of random numbers, in one order, each once."""
    seen: set[int] = set()
    waiting = [sampler]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or not type(one).__module__.startswith(("optuna.", "core.search.")):
            continue
        seen.add(id(one))
        if isinstance(one, LazyRandomState):
            yield one
            continue
        waiting += [value for _, value in sorted(getattr(one, "__dict__", {}).items())]


def _packed(rng: np.random.RandomState) -> dict[str, Any]:
    _, key, position, has_gauss, gauss = rng.get_state(legacy=True)
    text = base64.b64encode(np.asarray(key, "<u4").tobytes()).decode()
    return {"key": text, "position": position, "has_gauss": has_gauss, "gauss": gauss}


def _unpacked(packed: Mapping[str, Any]) -> tuple[Any, ...]:
    key = np.frombuffer(base64.b64decode(packed["key"]), "<u4")
    return "MT19937", key, packed["position"], packed["has_gauss"], packed["gauss"]


def finite(values: Sequence[float | None]) -> bool:
    """Whether all objectives are numbers that can be compared."""
    return all(value is not None and math.isfinite(value) for value in values)


class quiet(warnings.catch_warnings):  # noqa: N801
    """Without Optuna's remarks about what it may change one day."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
