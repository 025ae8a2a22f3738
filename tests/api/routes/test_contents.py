"""A version is taken away as a file: all rows or some, and nothing stays behind."""

import io

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

from tests.support.api_cases import CSV, Http, assert_problem

PATH = "/v1/datasets/pets/versions/1/content"


def rows(answer: httpx.Response, kind: str) -> list[dict[str, object]]:
    file = io.BytesIO(answer.content)
    if kind == "csv":
        return list(pa.csv.read_csv(file).to_pylist())
    read = pa.parquet.read_table if kind == "parquet" else pa.feather.read_table
    return list(read(file).to_pylist())


@pytest.mark.parametrize("kind", ["parquet", "csv", "arrow"])
def test_each_form_holds_the_rows_that_were_uploaded(http: Http, kind: str) -> None:
    answer = http.get(PATH, params={"format": kind})
    assert answer.status_code == 200, answer.text
    assert f"pets-1.{kind}" in answer.headers["content-disposition"]
    uploaded = pa.csv.read_csv(io.BytesIO(CSV.encode())).to_pylist()
    assert rows(answer, kind) == uploaded
    assert not list(http.app.state.context.uploads.iterdir())


def test_a_query_chooses_rows(http: Http) -> None:
    found = rows(http.get(PATH, params={"query": "label:cat @limit:3"}), "parquet")
    assert [row["label"] for row in found] == ["cat"] * 3
    assert_problem(http.get(PATH, params={"query": "label:("}), 422)
    assert_problem(http.get(PATH, params={"format": "xlsx"}), 422, "query.format")
    assert_problem(http.get("/v1/datasets/pets/versions/7/content"), 404)


def test_arrays_have_no_form_in_csv(empty: Http) -> None:
    file = io.BytesIO()
    np.savez(file, x=np.zeros((3, 2, 2), np.float32), y=np.arange(3))
    empty.upload("grids", file.getvalue(), "application/x-npz")
    path = "/v1/datasets/grids/versions/1/content"
    assert_problem(empty.get(path, params={"format": "csv"}), 422, "query.format")
    assert len(rows(empty.get(path), "parquet")) == 3
    assert not list(empty.app.state.context.uploads.iterdir())
