"""Study of a search: it asks a sampler for points and a pruner for verdicts.

An Optuna study is built in memory from the trials. Only the state of the sampler's random numbers
is stored with them, so that the sampler continues as if it had never been interrupted.
"""

import copy
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from core.search.dimension import Dimension
from core.search.pruner import Pruner
from core.search.random_state import restore_state, save_state
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

    `name` must differ between sweeps; `epochs` is the number of epochs of a complete trial. Of the
    values that a sampler suggests, `active` returns those that have an effect.
    """

    name: str
    space: Mapping[str, Dimension]
    directions: Sequence[Direction]
    sampler: Sampler
    pruner: Pruner
    epochs: int = 1
    active: Callable[[dict[str, Any]], dict[str, Any]] = dict

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

    `attributes` are those that sampler and pruner stored on the trial. `labels` and the times at
    which it started and ended are for people who read the study.
    """

    number: int
    values: Mapping[str, Any]
    outcome: Outcome = "open"
    objectives: Sequence[float] = ()
    reports: Mapping[int, float] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, Any] = field(default_factory=dict)
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Suggestion:
    """The next trial: its number, its point, and the attributes that the sampler stored on it."""

    number: int
    values: dict[str, Any]
    attributes: dict[str, Any]


class Study:
    """An Optuna study in memory that is updated as trials change.

    It behaves like a study built anew from all trials. Trials of earlier sweeps (`warm_start`) come
    first in it; a pruner never compares with them.
    """

    def __init__(
        self, search: Search, records: Sequence[TrialRecord], warm_start: Sequence[TrialRecord] = ()
    ) -> None:
        self._search = search
        self._records = list(records)
        self._offset = len(warm_start)
        with quiet():
            self._judging = build_study(search, records)
            self._asking = self._judging
            if warm_start:
                later = [self._shifted(record) for record in records]
                self._asking = build_study(search, [*warm_start, *later])

    def __len__(self) -> int:
        """Return the number of trials, without those of earlier sweeps."""
        return len(self._records)

    def __getitem__(self, number: int) -> TrialRecord:
        return self._records[number]

    def update(self, changed: Iterable[TrialRecord]) -> None:
        """Replace trials, or append them; new numbers follow the last one without a gap."""
        with quiet():
            for record in changed:
                if record.number == len(self._records):
                    self._records.append(record)
                else:
                    self._records[record.number] = record
                _write_trial(self._search, self._judging, record)
                if self._asking is not self._judging:
                    _write_trial(self._search, self._asking, self._shifted(record))

    def ask(
        self,
        count: int,
        *,
        state: Mapping[str, Any] | None = None,
        chosen: Mapping[int, Mapping[str, Any]] | None = None,
        first: int | None = None,
    ) -> tuple[list[Suggestion], dict[str, Any]]:
        """Return the next `count` points and the sampler's state for the next call.

        `chosen` are points by trial number that the owner chose; the sampler fills in fields that
        they leave out. The suggestions are added as open trials. If the sampler ignores trials, the
        study may be empty: then `first` is the next trial number.
        """
        first = len(self._records) if first is None else first
        with quiet():
            suggestions, next_state = self._ask(range(first, first + count), state, chosen or {})
        if first == len(self._records):
            self.update(
                TrialRecord(suggestion.number, suggestion.values, attributes=suggestion.attributes)
                for suggestion in suggestions
            )
        return suggestions, next_state

    def judge(self, number: int, *, after: int = 0) -> tuple[int | None, dict[str, Any]]:
        """Return the epoch at which a trial should be pruned, or None, and its attributes.

        The epochs after `after` are judged one by one, so that the verdict on a trial's own reports
        does not depend on how often it is asked for. Attributes that the pruner stores are kept.
        """
        record, study = self._records[number], self._judging
        trial_id = _trial_id(study, number)
        verdict = None
        with quiet():
            for epoch in sorted(epoch for epoch in record.reports if epoch > after):
                trial = copy.copy(study._storage.get_trial(trial_id))
                trial.intermediate_values = {e: v for e, v in record.reports.items() if e <= epoch}
                if study.pruner.prune(study, trial):
                    verdict = epoch
                    break
        attributes = _serializable(study._storage.get_trial_system_attrs(trial_id))
        self._records[number] = replace(record, attributes=attributes)
        return verdict, attributes

    def _ask(
        self,
        numbers: range,
        state: Mapping[str, Any] | None,
        chosen: Mapping[int, Mapping[str, Any]],
    ) -> tuple[list[Suggestion], dict[str, Any]]:
        search, study = self._search, self._asking
        distributions = _distributions(search)
        study.sampler = sampler = search.sampler.make(distributions)
        restore_state(study, sampler, state or {})
        suggestions = []
        for number in numbers:
            if number in chosen:
                study.enqueue_trial(_encoded(search, chosen[number]))
            trial = study.ask(dict(distributions))
            attributes = study._storage.get_trial_system_attrs(trial._trial_id)
            values = search.active(_decoded(search, trial.params))
            suggestions.append(Suggestion(number, values, _serializable(attributes)))
        return suggestions, save_state(study, sampler)

    def _shifted(self, record: TrialRecord) -> TrialRecord:
        """Return a trial with its number after the trials of earlier sweeps."""
        return replace(record, number=record.number + self._offset)


def without_rungs(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a trial without the rungs that a pruner stored."""
    return {key: value for key, value in attributes.items() if not key.startswith(_RUNG)}


def _write_trial(search: Search, study: optuna.Study, record: TrialRecord) -> None:
    """Replace a trial of the study by `record`, or append it."""
    trial = _frozen(search, record, _distributions(search))
    storage, study_id = study._storage, study._study_id
    if record.number >= storage.get_n_trials(study_id):
        storage.create_new_trial(study_id, template_trial=trial)
        return
    trial_id = _trial_id(study, record.number)
    trial.number, trial._trial_id = record.number, trial_id
    # Optuna's public methods refuse to change a trial that has ended.
    storage._set_trial(trial_id, trial)
    storage._update_cache(trial_id, study_id)


def _trial_id(study: optuna.Study, number: int) -> int:
    """Return the id of a trial in the storage of its study."""
    trial_id: int = study._storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
    return trial_id


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
        user_attrs=dict(record.labels),
    )
    trial.datetime_start = _local(record.started_at) or trial.datetime_start
    trial.datetime_complete = (
        None if outcome == "open" else _local(record.ended_at) or trial.datetime_complete
    )
    return trial


def _local(moment: datetime | None) -> datetime | None:
    """The naive local time that Optuna keeps for a time."""
    return None if moment is None else moment.astimezone().replace(tzinfo=None)


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


class quiet(warnings.catch_warnings):  # noqa: N801
    """Context in which Optuna's warnings are ignored."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
