"""Models over REST: registered, pointed at, measured, promoted and rolled back."""

import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.db.session import transaction
from core.db.tables import DatasetVersion
from core.training.model import TrainedModel
from tests.support.api_cases import Http, assert_problem

ROWS = [{"p0": 1, "p1": 2.5}, {"p0": 6, "p1": 0.5}, {"p0": 3, "p1": 1.5}]


def registered(http: Http, model: Path, name: str = "pets") -> int:
    job_id = http.finished(model)
    answer = http.post(f"/v1/models/{name}/versions", {"job_id": job_id})
    assert answer.status_code == 201, answer.text
    assert answer.json()["job_id"] == job_id
    return int(answer.json()["version"])


def point(http: Http, alias: str, version: int) -> dict[str, int]:
    answer = http.request("PUT", f"/v1/models/pets/aliases/{alias}", json={"version": version})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["aliases"])


def evaluated(http: Http, reference: str, **asked: Any) -> dict[str, Any]:
    """The evaluation that a job made, as a worker does it."""
    answer = http.post(f"/v1/models/{reference}/evaluations", {"dataset": "pets@1", **asked})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    if job["status"] == "queued":
        http.evaluate(job["id"])
    return dict(http.get(f"/v1/jobs/{job['id']}/evaluation").json())


def worse(pets_model: Path, tmp_path: Path) -> Path:
    """The same network with its signs turned around: every answer is the other one."""
    model = TrainedModel.load(pets_model)
    for name, view in model.network.views.items():
        if name.startswith("[2]"):
            view *= -1
    model.save(tmp_path / "worse.safetensors")
    return tmp_path / "worse.safetensors"


def test_versions_are_numbered_and_a_job_is_one_version(everywhere: Http, pets_model: Path) -> None:
    http = everywhere
    assert [registered(http, pets_model) for _ in range(3)] == [1, 2, 3]
    first = http.get("/v1/models/pets/versions/1").json()
    again = http.post("/v1/models/pets/versions", {"job_id": first["job_id"]})
    assert again.json()["version"] == 1
    listed = http.get("/v1/models/pets/versions", params={"limit": 2}).json()
    assert [one["version"] for one in listed["items"]] == [3, 2]
    assert listed["items"][0]["metrics"] == {"test/accuracy": 1.0}
    rest = http.get("/v1/models/pets/versions", params={"cursor": listed["next"]}).json()
    assert [one["version"] for one in rest["items"]] == [1]
    [model] = http.get("/v1/models").json()["items"]
    assert (model["name"], model["latest_version"], model["aliases"]) == ("pets", 3, {})


def test_only_a_finished_job_becomes_a_model(http: Http) -> None:
    waiting = {"job_id": http.submitted()["id"]}
    assert_problem(http.post("/v1/models/pets/versions", waiting), 409)
    assert_problem(http.post("/v1/models/pets/versions", {"job_id": "0" * 32}), 404)
    assert_problem(http.get("/v1/models/pets"), 404)


def test_an_alias_answers_and_moves(everywhere: Http, pets_model: Path, tmp_path: Path) -> None:
    http = everywhere
    registered(http, pets_model)
    registered(http, worse(pets_model, tmp_path))
    expected = TrainedModel.load(pets_model).predict(ROWS)
    other = [{"cat": "dog", "dog": "cat"}[label] for label in expected]
    assert point(http, "champion", 1) == {"champion": 1}

    def said(reference: str) -> Any:
        return http.post(f"/v1/models/{reference}/predict", {"rows": ROWS}).json()["predictions"]

    assert said("pets@champion") == said("pets@1") == expected
    assert said("pets@2") == said("pets") == said("pets@latest") == other
    point(http, "champion", 2)
    assert said("pets@champion") == other


@pytest.mark.parametrize(
    "reference", ["none", "pets@9", "pets@none", "pets@", "@1", "pets@99999999999"]
)
def test_what_is_not_registered_is_404(http: Http, pets_model: Path, reference: str) -> None:
    registered(http, pets_model)
    assert_problem(http.post(f"/v1/models/{reference}/predict", {"rows": ROWS}), 404)


def test_rolling_back_goes_back_step_by_step(everywhere: Http, pets_model: Path) -> None:
    http = everywhere
    for version in (1, 2, 3):
        registered(http, pets_model)
        point(http, "champion", version)
    path = "/v1/models/pets/aliases/champion"
    assert http.post(f"{path}/rollback").json()["version"] == 2
    assert http.post(f"{path}/rollback").json()["version"] == 1
    assert_problem(http.post(f"{path}/rollback"), 409)
    history = http.get(f"{path}/history").json()["items"]
    assert [(one["before"], one["version"]) for one in history] == [
        (2, 1), (3, 2), (2, 3), (1, 2), (None, 1),
    ]  # fmt: skip
    assert history[0]["reason"] == "rolled back"
    assert http.request("DELETE", path).status_code == 204
    assert_problem(http.request("DELETE", path), 404)
    assert_problem(http.post(f"{path}/rollback"), 404)


def test_an_alias_is_a_plain_word(http: Http, pets_model: Path) -> None:
    registered(http, pets_model)
    for alias, status in (("latest", 422), ("7", 422), ("champion", 404)):
        answer = http.request("PUT", f"/v1/models/pets/aliases/{alias}", json={"version": 5})
        assert_problem(answer, status)


def test_an_evaluation_counts_right_answers_overall_and_by_slice(
    everywhere: Http, pets_model: Path
) -> None:
    http = everywhere
    registered(http, pets_model)
    rows = [{"p0": i % 7, "p1": i % 3 + 0.5} for i in range(40)]
    labels = ["cat" if i % 2 else "dog" for i in range(40)]
    said = TrainedModel.load(pets_model).predict(rows)
    right = np.array(said) == np.array(labels)

    found = evaluated(http, "pets@1", slices=["p0", "label"])

    assert found["rows"] == 40
    assert found["metrics"]["accuracy"] == pytest.approx(right.mean())
    slices = {(one["column"], one["value"]): one for one in found["slices"]}
    assert len(slices) == 7 + 2
    sixes = np.array([row["p0"] == 6 for row in rows])
    assert slices["p0", 6]["rows"] == sixes.sum()
    assert slices["p0", 6]["metrics"]["accuracy"] == pytest.approx(right[sixes].mean())
    true = np.array(labels)
    assert found["confusion"] == {
        "labels": ["cat", "dog"],
        "counts": [
            [int(((true == one) & (np.array(said) == other)).sum()) for other in ("cat", "dog")]
            for one in ("cat", "dog")
        ],
    }
    assert evaluated(http, "pets@1", slices=["p0", "label"]) == found, "nothing is measured twice"
    assert http.get("/v1/models/pets/evaluations").json()["items"] == [found]
    # A key that came with what was measured before stands for that, as any other.
    asked, headers = {"dataset": "pets@1", "slices": ["p0", "label"]}, {"Idempotency-Key": "mine"}
    for replayed in (None, "true"):
        answer = http.post("/v1/models/pets/evaluations", asked, headers=headers)
        assert answer.json()["id"] == found["evaluated_by"]
        assert answer.headers.get("idempotent-replayed") == replayed
    asked["slices"] = ["p0"]
    answer = http.post("/v1/models/pets/evaluations", asked, headers=headers)
    assert_problem(answer, 422, "Idempotency-Key")
    other = evaluated(http, "pets@1", slices=["label"])
    assert other["evaluated_by"] != found["evaluated_by"]
    assert other["metrics"] == found["metrics"]


@pytest.mark.parametrize(
    ("action", "asked", "path"),
    [
        ("evaluations", {"dataset": "pets@1", "slices": ["none"]}, "slices[0]"),
        ("evaluations", {"dataset": "pets@9"}, "dataset"),
        ("evaluations", {"dataset": "other@1"}, "dataset"),
        ("score", {"dataset": "pets@1", "keep": ["label", "none"]}, "keep[1]"),
        ("score", {"dataset": "text@1"}, "dataset"),
        ("score", {"dataset": "text@1", "keep": ["row"]}, "keep[0]"),
        ("score", {"dataset": "pets@1", "format": "xls"}, "format"),
        ("score", {"dataset": "pets@1", "probabilities": "yes"}, "probabilities"),
        ("score", {"dataset": "pets@1", "interval": 0.9}, "interval"),
    ],
)
def test_what_cannot_work_is_refused_before_it_is_queued(
    http: Http, pets_model: Path, action: str, asked: dict[str, Any], path: str
) -> None:
    registered(http, pets_model)
    assert http.upload("other", "p0,p1\n1,2\n").status_code == 201
    assert http.upload("text", "p0,p1,row\nx,2,1\n").status_code == 201
    assert_problem(http.post(f"/v1/models/pets/{action}", asked), 422, path)
    assert http.get("/v1/jobs", params={"kind": "evaluate"}).json()["items"] == []


def test_answers_for_a_dataset_version_are_a_file(everywhere: Http, pets_model: Path) -> None:
    http = everywhere
    registered(http, pets_model)
    asked = {"dataset": "pets@1", "keep": ["label"], "probabilities": True}
    headers = {"Idempotency-Key": "mine"}
    job = http.post("/v1/models/pets/score", asked, headers=headers).json()
    assert (job["kind"], job["status"], job["name"]) == ("score", "queued", "pets@1 on pets@1")
    assert http.post("/v1/models/pets/score", asked, headers=headers).json()["id"] == job["id"]
    where = f"/v1/jobs/{job['id']}/predictions"
    assert_problem(http.get(where), 409)
    http.score(job["id"])
    answer = http.get(where)
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    found = pq.read_table(io.BytesIO(answer.content))
    model = TrainedModel.load(pets_model)
    rows = [{"p0": i % 7, "p1": i % 3 + 0.5} for i in range(40)]
    assert found["row"].to_pylist() == list(range(40))
    assert found["label"].to_pylist() == ["cat" if i % 2 else "dog" for i in range(40)]
    assert found["prediction"].to_pylist() == model.predict(rows)
    chances = [one["cat"] for one in model.predict_proba(rows)]
    assert found["probability_cat"].to_pylist() == pytest.approx(chances)
    assert_problem(http.get(f"/v1/jobs/{job['model_job_id']}/predictions"), 404)
    assert_problem(http.get(f"/v1/jobs/{job['id']}/evaluation"), 404)
    left = {"checkpoints_days": None, "predictions_days": 0, "dry_run": False}
    [erased] = http.post("/v1/retention", left).json()["items"]
    assert erased["kind"] == "predictions"
    assert_problem(http.get(where), 404)


def test_a_model_that_a_job_waits_to_use_stays(everywhere: Http, pets_model: Path) -> None:
    http = everywhere
    job_id = http.finished(pets_model)
    job = http.post(f"/v1/jobs/{job_id}/score", {"dataset": "pets@1"}).json()
    rules = {"checkpoints_days": None, "models_days": 0}
    assert http.post("/v1/retention", rules).json()["items"] == []
    http.post(f"/v1/jobs/{job['id']}/cancel")
    [left] = http.post("/v1/retention", rules).json()["items"]
    assert (left["kind"], left["job_id"]) == ("model", job_id)
    assert_problem(http.post(f"/v1/jobs/{job['id']}/score", {"dataset": "pets@1"}), 409)


def test_only_a_better_model_is_promoted(
    everywhere: Http, pets_model: Path, tmp_path: Path
) -> None:
    http = everywhere
    registered(http, worse(pets_model, tmp_path))
    registered(http, pets_model)
    path = "/v1/models/pets/aliases/champion/promote"

    def asked(version: int, **more: Any) -> dict[str, Any]:
        return {"version": version, "dataset": "easy@1", "metric": "accuracy", **more}

    rows = [{"p0": i % 7, "p1": i % 3 + 0.5} for i in range(40)]
    labels = TrainedModel.load(pets_model).predict(rows)
    # Both labels occur, whatever the network thinks.
    labels[0], labels[1] = "cat", "dog"
    lines = [f"{row['p0']},{row['p1']},{label}" for row, label in zip(rows, labels, strict=True)]
    assert http.upload("easy", "\n".join(["p0,p1,label", *lines, ""])).status_code == 201

    assert_problem(http.post(path, asked(1)), 409)
    accuracies = [
        evaluated(http, f"pets@{version}", dataset="easy@1")["metrics"]["accuracy"]
        for version in (1, 2)
    ]
    assert accuracies[0] < 0.1 < 0.9 < accuracies[1]
    other, better = 1, 2

    first = http.post(path, asked(other)).json()
    assert (first["promoted"], first["champion"]) == (True, None)
    refused = http.post(path, asked(better, margin=1.0)).json()
    assert refused["promoted"] is False
    assert http.get("/v1/models/pets").json()["aliases"] == {"champion": other}
    taken = http.post(path, asked(better)).json()
    assert taken["promoted"] is True
    assert (taken["value"], taken["champion_value"]) == (max(accuracies), min(accuracies))
    assert http.get("/v1/models/pets").json()["aliases"] == {"champion": better}
    assert http.post(path, asked(other)).json()["promoted"] is False
    by_loss = http.post(path, asked(other, metric="loss")).json()
    assert by_loss["promoted"] is False, "a lower loss is better"
    assert_problem(http.post(path, asked(other, metric="none")), 422, "metric")


def test_the_onnx_file_answers_alike(http: Http, pets_model: Path) -> None:
    registered(http, pets_model)
    answer = http.get("/v1/models/pets/versions/1/onnx")
    session = onnxruntime.InferenceSession(answer.content, providers=["CPUExecutionProvider"])
    feed = {name: np.array([row[name] for row in ROWS], np.float64) for name in ("p0", "p1")}
    (found,) = session.run(["prediction"], feed)
    assert found.tolist() == TrainedModel.load(pets_model).predict(ROWS)


def parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


CSV = "label,p1,p0\n" + "".join(f"cat,{row['p1']},{row['p0']}\n" for row in ROWS)


@pytest.mark.parametrize(
    ("kind", "content"),
    [("text/csv", CSV.encode()), ("application/vnd.apache.parquet", parquet(ROWS))],
    ids=["csv", "parquet"],
)
def test_files_are_answered_as_rows_are(
    http: Http, pets_model: Path, kind: str, content: Any
) -> None:
    registered(http, pets_model)
    job_id = http.get("/v1/models/pets/versions").json()["items"][0]["job_id"]
    expected = http.post("/v1/models/pets/predict", {"rows": ROWS, "probabilities": True}).json()
    for owner in ("models/pets", f"jobs/{job_id}"):
        answer = http.post(
            f"/v1/{owner}/predict/file",
            content=content,
            headers={"Content-Type": kind},
            params={"probabilities": True},
        )
        assert answer.status_code == 200, answer.text
        assert answer.json() == expected


def test_the_name_of_a_file_says_its_format(http: Http, pets_model: Path) -> None:
    job_id = http.finished(pets_model)
    expected = http.post(f"/v1/jobs/{job_id}/predict", {"rows": ROWS}).json()
    headers = {"Content-Disposition": 'attachment; filename="rows.jsonl"'}
    lines = "".join(f"{json.dumps(row)}\n" for row in ROWS)
    answer = http.post(f"/v1/jobs/{job_id}/predict/file", content=lines, headers=headers)
    assert answer.json() == expected


def test_files_are_parsed_as_the_data_of_the_training(http: Http, pets_model: Path) -> None:
    registered(http, pets_model)
    path = "/v1/models/pets/predict/file"
    expected = http.post("/v1/models/pets/predict", {"rows": ROWS}).json()
    lines = (f"{row['p0']};{row['p1']}\n".replace(".", ",") for row in ROWS)
    content, headers = f"p0;p1\n{''.join(lines)}".encode(), {"Content-Type": "text/csv"}
    assert_problem(http.post(path, content=content, headers=headers), 422)
    with transaction(http.app.state.context.engine) as session:
        session.query(DatasetVersion).one().parse = {"decimal": ",", "text": "label"}
    answer = http.post(path, content=content, headers=headers)
    assert answer.json()["predictions"] == expected["predictions"]
    headers = {"Content-Type": 'text/csv; decimal="."'}
    answer = http.post(path, content=content.replace(b",", b"."), headers=headers)
    assert answer.json()["predictions"] == expected["predictions"]


def test_a_file_without_a_column_is_refused_by_its_name(http: Http, pets_model: Path) -> None:
    registered(http, pets_model)
    path = "/v1/models/pets/predict/file"
    headers = {"Content-Type": "text/csv"}
    assert_problem(http.post(path, content=b"p0\n1\n", headers=headers), 422, "p1")
    assert_problem(http.post(path, content=b"\x00\xff", headers=headers), 422)
    answer = http.post(path, content=b"p0,p1\n1,one\n", headers=headers)
    assert assert_problem(answer, 422)["detail"].startswith("p1:")
    answer = http.post(path, content=b"p0,p1\n1,true\n", headers=headers)
    assert_problem(answer, 422, "p1")


def test_a_thousand_broken_rows_are_refused_by_row_and_column(http: Http, pets_model: Path) -> None:
    registered(http, pets_model)
    rng = random.Random(11)
    wrong = [
        None,
        True,
        False,
        "x",
        "1",
        [],
        [1],
        [[1]],
        {},
        {"a": 1},
        10**400,
        "",
        "\u0000",
        ["a"],
        [None],
    ]
    for _ in range(1000):
        rows: list[dict[str, Any]] = [dict(rng.choice(ROWS)) for _ in range(rng.randint(1, 4))]
        place, column = rng.randrange(len(rows)), rng.choice(["p0", "p1", "p9"])
        how = rng.choice(["lacks", "has"]) if column != "p9" else "has"
        if how == "lacks":
            del rows[place][column]
        else:
            rows[place][column] = rng.choice(wrong)
        answer = http.post("/v1/models/pets/predict", {"rows": rows})
        assert_problem(answer, 422, f"rows[{place}].{column}")
