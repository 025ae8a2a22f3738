"""What takes the space: by kind, with what is deleted next; files are counted now and then."""

from pathlib import Path
from typing import Any

from api.context import FRESH_SECONDS, Remembered
from tests.support.api_cases import Http


def kinds(http: Http) -> dict[tuple[str, str], dict[str, Any]]:
    answer = http.get("/v1/storage")
    assert answer.status_code == 200, answer.text
    assert answer.json()["database_bytes"] > answer.json()["reusable_bytes"]
    return {(part["place"], part["kind"]): part for part in answer.json()["kinds"]}


def test_kinds_are_counted(everywhere: Http, pets_model: Path) -> None:
    http = everywhere
    job_id = http.finished(pets_model)
    context = http.app.state.context
    (context.settings.data_dir / "mlflow").mkdir()
    (context.settings.data_dir / "mlflow" / "model.bin").write_bytes(b"12345")
    counted = kinds(http)
    assert counted["database", "jobs"]["count"] == 3
    assert counted["database", "jobs"]["bytes"] > 500
    assert counted["database", "jobs"]["days"] is None
    assert counted["database", "events"]["days"] == 90
    assert counted["database", "events"]["overdue_rows"] == 0
    assert counted["store", "models"]["count"] == 1
    assert counted["store", "models"]["bytes"] == pets_model.stat().st_size
    assert counted["store", "datasets"]["count"] >= 2
    assert counted["disk", "mlflow"]["bytes"] == 5
    assert counted["store", "orphans"]["count"] is None

    context.store.put_bytes(b"bytes", f"models/{job_id}/7/left")
    assert kinds(http)["store", "models"]["count"] == 1, "counted a moment ago"
    assert http.post("/v1/retention", {"dry_run": False}).status_code == 200
    assert kinds(http)["store", "models"]["count"] == 2


def test_a_value_is_remembered_for_ten_minutes() -> None:
    at, values = [0.0], iter("abc")
    remembered = Remembered(lambda: at[0])
    assert remembered.get(lambda: next(values)) == "a"
    at[0] = FRESH_SECONDS - 1
    assert remembered.get(lambda: next(values)) == "a"
    at[0] = FRESH_SECONDS
    assert remembered.get(lambda: next(values)) == "b"
    remembered.forget()
    assert remembered.get(lambda: next(values)) == "c"
