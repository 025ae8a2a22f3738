"""A search as a file that Optuna opens: its dashboard, `load_study`, any script of its own."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.storages import RDBStorage
from sqlalchemy.pool import StaticPool

from core.search.study import Search, Tried, quiet, study_of


def export(search: Search, tried: Sequence[Tried], path: Path, study_name: str) -> None:
    """Write what was tried to an SQLite file, as the only study of an Optuna storage.

    It is made in memory and copied: Optuna writes trial by trial, which would take a disk minutes.
    """
    with quiet():
        source = study_of(search, tried)
        storage = RDBStorage(
            "sqlite://",
            engine_kwargs={
                "poolclass": StaticPool,
                "connect_args": {"check_same_thread": False},
            },
        )
        study = optuna.create_study(
            storage=storage, study_name=study_name, directions=source.directions
        )
        study.add_trials(source.get_trials(deepcopy=False))
        held = storage.engine.raw_connection()
        try:
            with sqlite3.connect(path) as file:
                held.driver_connection.backup(file)
            file.close()
        finally:
            held.close()
            storage.engine.dispose()
