"""Columns in MLflow's words, as MLflow itself reads them."""

import json

from mlflow.types import Schema

from core.tracking.schemas import MAX_CHARACTERS, dataset_profile, dataset_schema

COLUMNS = [
    {"name": "x", "dtype": "float32", "shape": [], "nulls": 0},
    {"name": "image", "dtype": "uint8", "shape": [8, 8], "nulls": 0},
    {"name": "label", "dtype": "string", "shape": [], "nulls": 2},
]


def test_mlflow_reads_the_schema() -> None:
    columns = json.loads(dataset_schema({"columns": [COLUMNS[0], COLUMNS[2]]}))["mlflow_colspec"]
    schema = Schema.from_json(json.dumps(columns))
    assert schema.input_names() == ["x", "label"]
    assert [str(one) for one in schema.input_types()] == ["DataType.float", "DataType.string"]
    assert schema.required_input_names() == ["x"]


def test_thousands_of_columns_are_cut_and_counted() -> None:
    many = [{**COLUMNS[0], "name": f"column number {n}"} for n in range(5000)]
    text = dataset_schema({"columns": many})
    assert len(text) <= MAX_CHARACTERS
    shown = json.loads(text)["mlflow_colspec"]
    assert shown[-1]["name"] == f"and {5000 - (len(shown) - 1)} more"


def test_the_profile_counts_numbers() -> None:
    document = {"rows": 10, "columns": COLUMNS}
    assert json.loads(dataset_profile(document)) == {"num_rows": 10, "num_elements": 10 * 66}
