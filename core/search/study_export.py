"""Export of a search as a storage file for Optuna, its dashboard and `load_study`."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy import Connection, insert
from sqlalchemy.pool import NullPool

from core.search.study import Search, TrialRecord, build_study, quiet

_AT_ONCE = 500
"""Trials whose rows are inserted by one statement for each table."""


def export(search: Search, records: Sequence[TrialRecord], path: Path, study_name: str) -> None:
    """Write an SQLite file that is an Optuna storage with one study.

    Optuna makes the tables and the study. The rows of the trials are inserted many at a time:
    Optuna asks the database dozens of times for each trial, which takes minutes for some thousands.
    """
    with quiet():
        source = build_study(search, records)
        storage = RDBStorage(f"sqlite:///{path}", engine_kwargs={"poolclass": NullPool})
        try:
            study = optuna.create_study(
                storage=storage, study_name=study_name, directions=source.directions
            )
            trials = iter(source.get_trials(deepcopy=False))
            with storage.engine.begin() as connection:
                while some := list(islice(trials, _AT_ONCE)):
                    _insert(connection, study._study_id, some)
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _insert(connection: Connection, study_id: int, trials: Sequence[FrozenTrial]) -> None:
    """Insert trials as `RDBStorage.create_new_trial` does; their numbers count from 0."""
    rows: dict[Any, list[dict[str, Any]]] = {
        models.TrialModel: [_trial(study_id, trial) for trial in trials],
        models.TrialValueModel: _each(trials, _values),
        models.TrialParamModel: _each(trials, _params),
        models.TrialUserAttributeModel: _each(trials, lambda trial: _attributes(trial.user_attrs)),
        models.TrialSystemAttributeModel: _each(
            trials, lambda trial: _attributes(trial.system_attrs)
        ),
        models.TrialIntermediateValueModel: _each(trials, _reports),
    }
    for table, own in rows.items():
        if own:
            connection.execute(insert(table.__table__), own)


def _each(
    trials: Sequence[FrozenTrial], make: Callable[[FrozenTrial], Iterable[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """The rows that `make` returns, each with the id of its trial."""
    return [{"trial_id": trial.number + 1, **row} for trial in trials for row in make(trial)]


def _trial(study_id: int, trial: FrozenTrial) -> dict[str, Any]:
    return {
        "trial_id": trial.number + 1,
        "number": trial.number,
        "study_id": study_id,
        "state": trial.state,
        "datetime_start": _utc(trial.datetime_start),
        "datetime_complete": _utc(trial.datetime_complete),
    }


def _values(trial: FrozenTrial) -> Iterable[dict[str, Any]]:
    for objective, number in enumerate(trial.values or ()):
        value, kind = models.TrialValueModel.value_to_stored_repr(number)
        yield {"objective": objective, "value": value, "value_type": kind}


def _params(trial: FrozenTrial) -> Iterable[dict[str, Any]]:
    for name, value in trial.params.items():
        distribution = trial.distributions[name]
        yield {
            "param_name": name,
            "param_value": distribution.to_internal_repr(value),
            "distribution_json": distribution_to_json(distribution),
        }


def _attributes(attributes: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    return ({"key": key, "value_json": json.dumps(value)} for key, value in attributes.items())


def _reports(trial: FrozenTrial) -> Iterable[dict[str, Any]]:
    to_row = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
    for step, number in trial.intermediate_values.items():
        value, kind = to_row(number)
        yield {"step": step, "intermediate_value": value, "intermediate_value_type": kind}


def _utc(local: datetime | None) -> datetime | None:
    """The naive UTC time that Optuna stores for a naive local time."""
    return None if local is None else local.astimezone(UTC).replace(tzinfo=None)
