"""DataFrames of pandas and polars: sent as tables, and made of answers."""

import importlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TABLE = "table.parquet"


def is_pandas(data: Any) -> bool:
    """Return whether `data` is a DataFrame of pandas."""
    return hasattr(data, "to_parquet")


def is_frame(data: Any) -> bool:
    """Return whether `data` is a DataFrame of pandas or polars."""
    return is_pandas(data) or hasattr(data, "write_parquet")


@contextmanager
def table_file(frame: Any) -> Iterator[Path]:
    """Yield a temporary Parquet file with the rows of a DataFrame, without its index."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / TABLE
        if is_pandas(frame):
            frame.to_parquet(path, index=False)
        else:
            frame.write_parquet(path)
        yield path


def records(rows: Any) -> list[dict[str, Any]]:
    """Return rows as dictionaries; an empty cell of a DataFrame is None."""
    if is_pandas(rows):
        return list(json.loads(rows.to_json(orient="records")))
    return rows.to_dicts() if hasattr(rows, "to_dicts") else [dict(row) for row in rows]


def to_frame(rows: Iterable[Mapping[str, Any]]) -> Any:
    """Return rows as a pandas DataFrame; fields of fields become columns such as `spec.seed`.

    Raises ModuleNotFoundError if pandas is not installed.
    """
    return _pandas().json_normalize([dict(row) for row in rows])


def prediction_frame(answer: Mapping[str, Any], index: Any) -> Any:
    """Return predictions as a pandas DataFrame with the `index` of their rows.

    Its columns are `prediction`, `probability of LABEL`, `low` and `high`, as far as `answer` has
    them.
    """
    columns = {"prediction": answer["predictions"]}
    probabilities = answer.get("probabilities") or []
    for label in probabilities[0] if probabilities else ():
        columns[f"probability of {label}"] = [row[label] for row in probabilities]
    if intervals := answer.get("intervals"):
        for end in ("low", "high"):
            columns[end] = [interval[end] for interval in intervals]
    return _pandas().DataFrame(columns, index=index)


def _pandas() -> Any:
    return importlib.import_module("pandas")
