"""Engines and sessions: how transactions begin, what survives them, which errors people see."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InternalError, OperationalError

from core.db import session as sessions
from core.db.clock import later, now
from core.db.engine import make_engine
from core.db.session import reading, repeated, transaction
from core.db.tables import Experiment
from core.errors import InvalidError, UnavailableError


def test_sqlite_is_set_up_to_lose_nothing(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    with engine.connect() as connection:
        said = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert said == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }
    engine.dispose()


def test_postgresql_waits_are_bounded(postgres_url: str) -> None:
    engine = make_engine(postgres_url, statement_seconds=2.5)
    with engine.connect() as connection:
        said = {
            name: connection.execute(text(f"SHOW {name}")).scalar()
            for name in (
                "statement_timeout",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
                "synchronous_commit",
                "transaction_isolation",
                "application_name",
            )
        }
    assert said == {
        "statement_timeout": "2500ms",
        "lock_timeout": "2500ms",
        "idle_in_transaction_session_timeout": "15s",
        "synchronous_commit": "on",
        "transaction_isolation": "read committed",
        "application_name": "chainrule",
    }
    engine.dispose()


def test_a_statement_that_hangs_is_given_up(postgres_url: str) -> None:
    engine = make_engine(postgres_url, statement_seconds=0.2)
    with pytest.raises(UnavailableError, match="timeout"), transaction(engine) as session:
        session.execute(text("SELECT pg_sleep(20)"))
    engine.dispose()


def test_options_of_the_url_win(postgres_url: str) -> None:
    engine = make_engine(postgres_url + "?options=-c%20lock_timeout%3D77")
    with engine.connect() as connection:
        assert connection.execute(text("SHOW lock_timeout")).scalar() == "77ms"
        assert connection.execute(text("SHOW statement_timeout")).scalar() == "9s"
    engine.dispose()


def test_a_plain_postgresql_url_gets_our_driver(postgres_url: str) -> None:
    engine = make_engine(postgres_url.replace("postgresql+psycopg", "postgresql"))
    assert engine.driver == "psycopg"
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()


def test_other_databases_are_refused() -> None:
    with pytest.raises(InvalidError, match="mysql"):
        make_engine("mysql://localhost/x")


def test_the_folder_of_a_sqlite_file_is_made(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'a' / 'b.sqlite'}")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()


def test_writers_that_read_first_wait_for_each_other(engine: Engine) -> None:
    with transaction(engine) as session:
        session.add(Experiment(name="0"))

    def count_up(_: int) -> None:
        with transaction(engine) as session:
            row = session.scalars(select(Experiment).with_for_update()).one()
            row.name = str(int(row.name) + 1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count_up, range(40)))
    with reading(engine) as session:
        assert session.scalars(select(Experiment.name)).one() == "40"


def test_a_reader_does_not_wait_for_a_writer(engine: Engine) -> None:
    with transaction(engine) as writer:
        writer.add(Experiment(name="x"))
        writer.flush()
        with reading(engine) as session:
            assert session.scalars(select(Experiment)).all() == []


def test_a_reader_cannot_write_on_postgresql(postgres_url: str) -> None:
    engine = make_engine(postgres_url)
    with pytest.raises((InternalError, DBAPIError)), reading(engine) as session:
        session.execute(text("DELETE FROM experiments"))
    with transaction(engine) as session:
        session.add(Experiment(name="x"))
    engine.dispose()


def test_an_exception_leaves_nothing(engine: Engine) -> None:
    def fail() -> None:
        with transaction(engine) as session:
            session.add(Experiment(name="x"))
            session.flush()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with reading(engine) as session:
        assert session.scalars(select(Experiment)).all() == []


def test_rows_are_whole_after_the_commit(engine: Engine) -> None:
    with transaction(engine) as session:
        row = Experiment(name="x")
        session.add(row)
        session.flush()
        row.archived_at = later(60)
    assert row.archived_at is not None
    assert timedelta(seconds=59) < row.archived_at - row.created_at < timedelta(seconds=120)


def test_the_clock_moves_within_a_transaction_on_postgresql(postgres_url: str) -> None:
    engine = make_engine(postgres_url)
    with transaction(engine) as session:
        first = session.execute(select(now())).scalar_one()
        session.execute(text("SELECT pg_sleep(0.02)"))
        assert session.execute(select(now())).scalar_one() > first
    engine.dispose()


def test_the_clock_is_utc_to_the_millisecond(engine: Engine) -> None:
    with reading(engine) as session:
        moment = session.execute(select(now())).scalar_one()
        gone = session.execute(select(later(-2.5))).scalar_one()
    assert abs(moment - datetime.now(UTC)) < timedelta(minutes=5)
    assert moment.microsecond % 1000 == 0
    assert gone < moment


def test_a_wrong_statement_is_our_error_not_the_databases(engine: Engine) -> None:
    with pytest.raises(DBAPIError), transaction(engine) as session:
        session.execute(text("SELECT nothing FROM nowhere"))


def test_a_broken_rule_is_our_error_too(engine: Engine) -> None:
    with pytest.raises(IntegrityError), transaction(engine) as session:
        session.add_all([Experiment(name="x"), Experiment(name="x")])


def test_what_the_database_cannot_store_is_the_callers_error(postgres_url: str) -> None:
    engine = make_engine(postgres_url)
    for name in ("a\x00b", "a" * 300):
        with pytest.raises(InvalidError), transaction(engine) as session:
            session.add(Experiment(name=name))
    engine.dispose()


def test_a_database_that_is_away_is_unavailable() -> None:
    engine = make_engine("postgresql+psycopg://nobody@127.0.0.1:9/none")
    with pytest.raises(UnavailableError), reading(engine) as session:
        session.execute(text("SELECT 1"))


def test_a_locked_sqlite_file_is_unavailable(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    with engine.connect() as holder, engine.connect() as other:
        holder.execute(text("SELECT 1"))
        other.connection.dbapi_connection.execute("PRAGMA busy_timeout = 10").close()  # type: ignore[union-attr]
        with pytest.raises(OperationalError) as caught:
            other.execute(text("SELECT 1"))
    with pytest.raises(UnavailableError, match="locked"), sessions._translated():
        raise caught.value
    engine.dispose()


def test_busy_work_is_repeated_a_few_times(engine: Engine) -> None:
    calls: list[int] = []

    def work(_: object) -> str:
        calls.append(1)
        if len(calls) < 3:
            raise UnavailableError("busy")
        return "done"

    assert repeated(engine, work) == "done"
    calls.clear()
    with pytest.raises(UnavailableError):
        repeated(engine, work, tries=2)
    assert len(calls) == 2


def test_statements_with_the_clock_are_compiled_once() -> None:
    for expression in (now(), later(-5)):
        key = select(Experiment).where(Experiment.created_at < expression)._generate_cache_key()
        assert key is not None
