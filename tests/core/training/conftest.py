"""Small data on disk for the loop: the shipped digits and a regression with known weights."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from threadpoolctl import threadpool_limits

DIGITS_CSV = Path(__file__).parents[3] / "examples" / "digits.csv"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Bit-equality is promised with one thread."""
    with threadpool_limits(1):
        yield


def write(table: pa.Table, path: Path) -> Path:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return path


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = pa.csv.read_csv(DIGITS_CSV)
    return write(table, tmp_path_factory.mktemp("digits") / "digits.arrow")


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 rows of y = 3 a - 2 b + 1, and noise-free: the right answer is known."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 200))
    table = pa.table({"a": a, "b": b, "y": 3 * a - 2 * b + 1, "big": np.where(a > 0, "yes", "no")})
    return write(table, tmp_path_factory.mktemp("line") / "line.arrow")
