"""What takes the space is counted: all tables, and the files of the store."""

from core.db.session import reading
from core.db.tables import Base
from core.retention import Storage, database_bytes, store_usage, table_usage
from core.retention.usage import TABLES
from tests.core.retention.cases import left


def test_every_table_has_a_kind() -> None:
    members = [table.__tablename__ for group in TABLES.values() for table in group]
    assert sorted(members) == sorted(Base.metadata.tables)


def test_rows_and_files_are_counted(storage: Storage) -> None:
    for _ in range(2):
        left(storage)
    storage.store.put_bytes(b"12345678", f"chunks/ab/{'a' * 64}")
    with reading(storage.engine) as session:
        rows = {usage.kind: usage for usage in table_usage(session)}
        total, reusable = database_bytes(session)
    assert rows["logs"].count == 4
    assert rows["metrics"].count == 2
    assert rows["sweeps"].count == rows["sweeps"].bytes == 0
    assert 2 * 500 < rows["jobs"].bytes < total
    assert 0 <= reusable < total
    files = {usage.kind: (usage.count, usage.bytes) for usage in store_usage(storage.store)}
    assert files == {
        "datasets": (1, 8), "checkpoints": (2, 10), "models": (2, 10), "predictions": (0, 0),
    }  # fmt: skip
