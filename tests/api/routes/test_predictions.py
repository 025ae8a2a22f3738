"""Predictions over HTTP: answers of a real trained network, and malformed rows."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from api.routes import predictions
from core.data.ingest.parser import ParsedDataset
from core.events import TrainingEnded
from core.settings import Settings
from core.spec import JobSpec
from core.training.loop import train
from core.training.model import TrainedModel
from tests.support.api_cases import SPEC, Http, assert_problem

ROWS = [{"p0": 1, "p1": 2.5}, {"p0": 6, "p1": 0.5}, {"p0": 3, "p1": 1.5}]


@pytest.fixture
def path(http: Http, pets_model: Path) -> str:
    """Where the predictions of a finished job are asked for."""
    return f"/v1/jobs/{http.finished(pets_model)}/predict"


def test_rows_are_answered_with_labels_as_in_the_data(everywhere: Http, pets_model: Path) -> None:
    job_id = everywhere.finished(pets_model)
    answer = everywhere.post(f"/v1/jobs/{job_id}/predict", {"rows": ROWS})
    assert answer.status_code == 200, answer.text
    expected = TrainedModel.load(pets_model).predict(ROWS)
    assert answer.json()["predictions"] == expected
    assert set(expected) <= {"cat", "dog"}


def test_probabilities_come_on_request(http: Http, path: str) -> None:
    answer = http.post(path, {"rows": ROWS, "probabilities": True}).json()
    for label, chances in zip(answer["predictions"], answer["probabilities"], strict=True):
        assert set(chances) == {"cat", "dog"}
        assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
        assert max(chances, key=chances.get) == label


@pytest.fixture
def numbers_model(pets: ParsedDataset, tmp_path: Path) -> Path:
    """The model file of a regression."""
    network, loss = [{"kind": "dense", "units": 1}], {"kind": "mean_squared_error"}
    data = {"target": "p1", "features": ["p0"], "split": {"train": 0.4, "valid": 0.6, "test": 0}}
    spec = {**SPEC, "data": data, "network": network, "loss": loss, "metrics": []}
    *_, ended = train(JobSpec.model_validate(spec), pets.path, tmp_path)
    assert isinstance(ended, TrainingEnded)
    return Path(ended.path)


def test_numbers_come_with_intervals_on_request(http: Http, numbers_model: Path) -> None:
    path = f"/v1/jobs/{http.finished(numbers_model)}/predict"
    rows = [{"p0": 1}, {"p0": 5}]
    answer = http.post(path, {"rows": rows, "interval": 0.9}).json()
    for number, interval in zip(answer["predictions"], answer["intervals"], strict=True):
        assert interval["low"] < number < interval["high"]
    assert_problem(http.post(path, {"rows": rows, "interval": 0.999}), 422, "interval")


def test_labels_have_no_intervals(http: Http, path: str) -> None:
    assert_problem(http.post(path, {"rows": ROWS, "interval": 0.9}), 422, "interval")


def test_a_request_has_bounded_arithmetic(
    http: Http, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two features, dense 4, relu, dense 2: 8 + 4 + 8 + 2 weights."""
    for name, most, extra in (
        ("MAX_WORK", 3 * 22, {}),
        ("MAX_NUMBERS", 3 * 2, {}),
        ("MAX_ANSWERS", 3 * 2, {"probabilities": True}),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(predictions, name, most)
            assert http.post(path, {"rows": ROWS, **extra}).status_code == 200
            problem = assert_problem(http.post(path, {"rows": 2 * ROWS, **extra}), 422, "rows")
            assert "send at most 3 rows" in problem["detail"]


def test_a_job_that_has_no_model_yet_is_a_conflict(http: Http) -> None:
    job_id = http.submitted()["id"]
    assert_problem(http.post(f"/v1/jobs/{job_id}/predict", {"rows": ROWS}), 409)


def test_a_job_that_is_not_there_is_404(http: Http) -> None:
    assert_problem(http.post(f"/v1/jobs/{'0' * 32}/predict", {"rows": ROWS}), 404)


@pytest.mark.parametrize(
    ("row", "where"),
    [
        ({"p0": 1}, "rows[1].p1"),
        ({"p0": 1, "p1": None}, "rows[1].p1"),
        ({"p0": "1", "p1": 1}, "rows[1].p0"),
        ({"p0": [1], "p1": 1}, "rows[1].p0"),
        ({"p0": {}, "p1": 1}, "rows[1].p0"),
        ({"p0": True, "p1": 1}, "rows[1].p0"),
        ({"p0": 10**400, "p1": 1}, "rows[1].p0"),
        ({"p0": 1, "p1": 1, "p2": 1}, "rows[1].p2"),
        ({"p0": 1, "p1": 1, "label": "cat"}, "rows[1].label"),
    ],
)
def test_a_wrong_cell_is_named_by_row_and_column(
    http: Http, path: str, row: dict[str, Any], where: str
) -> None:
    assert_problem(http.post(path, {"rows": [ROWS[0], row]}), 422, where)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rows": []},
        {"rows": {}},
        {"rows": "p0"},
        {"rows": [1]},
        {"rows": [None]},
        {"rows": [{}]},
        {"rows": ROWS, "probabilities": "perhaps"},
        {"rows": ROWS, "proba": True},
        {"rows": ROWS, "interval": 0},
        {"rows": ROWS, "interval": 1},
        {"rows": ROWS, "interval": "wide"},
        {"rows": [ROWS[0]] * 10_001},
        [],
        "rows",
    ],
)
def test_malformed_bodies_are_refused(http: Http, path: str, body: Any) -> None:
    assert_problem(http.post(path, content=json.dumps(body).encode(),
                             headers={"Content-Type": "application/json"}), 422)  # fmt: skip


def test_numbers_that_are_not_finite_are_refused(http: Http, path: str) -> None:
    body = json.dumps({"rows": [{"p0": float("nan"), "p1": 1.0}]}).encode()
    headers = {"Content-Type": "application/json"}
    assert_problem(http.post(path, content=body, headers=headers), 422, "rows[0].p0")


def test_many_rows_are_answered_in_order(http: Http, path: str) -> None:
    rows = [{"p0": i % 7, "p1": float(i % 3)} for i in range(10_000)]
    answer = http.post(path, {"rows": rows}).json()["predictions"]
    assert len(answer) == 10_000
    assert answer[:21] == answer[21:42]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["rows", "p0", "p1", "probabilities", "interval"]), inner, max_size=3
        )
    ),
    max_leaves=10,
)


@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=anything, as_row=st.booleans())
def test_whatever_is_sent_the_answer_is_predictions_or_a_problem(
    http: Http, path: str, body: Any, as_row: bool
) -> None:
    content = json.dumps({"rows": [body]} if as_row else body).encode()
    answer = http.post(path, content=content, headers={"Content-Type": "application/json"})
    if answer.status_code != 200:
        assert 400 <= answer.status_code < 500
        assert_problem(answer, answer.status_code)


def test_a_model_whose_bytes_changed_is_not_used(
    http: Http, pets_model: Path, settings: Settings
) -> None:
    job_id = http.finished(pets_model)
    [file] = (settings.data_dir / "store" / "models" / job_id).rglob("model.safetensors")
    file.write_bytes(b"x" + file.read_bytes()[1:])
    answer = http.post(f"/v1/jobs/{job_id}/predict", {"rows": ROWS})
    assert 400 <= answer.status_code < 600
    assert "predictions" not in answer.json()


def test_a_model_that_was_deleted_is_404(http: Http, pets_model: Path, settings: Settings) -> None:
    job_id = http.finished(pets_model)
    [file] = (settings.data_dir / "store" / "models" / job_id).rglob("model.safetensors")
    file.unlink()
    assert_problem(http.post(f"/v1/jobs/{job_id}/predict", {"rows": ROWS}), 404)
