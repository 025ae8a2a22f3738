"""Export of a search as a storage file for Optuna, its dashboard and `load_study`."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.storages import RDBStorage
from sqlalchemy.pool import StaticPool

from core.search.study import Search, TrialRecord, build_study, quiet


def export(search: Search, records: Sequence[TrialRecord], path: Path, study_name: str) -> None:
    """Write an SQLite file that is an Optuna storage with one study.

    The storage is built in memory and copied: Optuna writes trial by trial, which takes minutes on
    a disk.
    """
    with quiet():
        source = build_study(search, records)
        storage = RDBStorage(
            "sqlite://",
            engine_kwargs={"poolclass": StaticPool, "connect_args": {"check_same_thread": False}},
        )
        study = optuna.create_study(
            storage=storage, study_name=study_name, directions=source.directions
        )
        study.add_trials(source.get_trials(deepcopy=False))
        connection = storage.engine.raw_connection()
        try:
            with sqlite3.connect(path) as file:
                connection.driver_connection.backup(file)
            file.close()
        finally:
            connection.close()
            storage.engine.dispose()
