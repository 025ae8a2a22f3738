"""The commands of README and docs work as pasted, against a running `chainrule up`."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from docs.staging import ROOT
from tests.house.snippets import SHELL, Snippet, snippets
from tests.support.brokers import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
PROGRAMS = Path(sys.executable).parent


def page(name: str, *languages: str) -> list[Snippet]:
    """The snippets of a page."""
    return [snippet for snippet in snippets(*languages) if snippet.page == name]


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Of the api and of MLflow, in a stack that stays, as `make up` starts it."""
    port, tracker, folder = free_port(), free_port(), tmp_path_factory.mktemp("stack")
    options = ["--data-dir", str(folder), "--port", str(port), "--mlflow-port", str(tracker)]
    readable = f"file://{tmp_path_factory.getbasetemp()}"
    with (folder / "up.log").open("w") as log:
        stack = subprocess.Popen(
            [PROGRAMS / "chainrule", "up", *options],
            stdout=log,
            stderr=log,
            env={**os.environ, "CHAINRULE_DATASET_URLS": readable},
        )
    try:
        give_up_at = time.monotonic() + 120
        while time.monotonic() < give_up_at:
            with suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/readyz").is_success:
                    break
            assert stack.poll() is None, (folder / "up.log").read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{tracker}"
    finally:
        stack.send_signal(signal.SIGTERM)
        stack.wait(60)


@pytest.fixture
def url(addresses: tuple[str, str]) -> str:
    """The api's address."""
    return addresses[0]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the examples and the programs of a checkout, and nothing else."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(PROGRAMS)
    return tmp_path


@pytest.fixture
def desk(checkout: Path) -> Path:
    """Where a reader of the guides types: a checkout, and some rows without labels."""
    with (ROOT / "examples" / "digits.csv").open(newline="") as source:
        rows = list(csv.DictReader(source))[:5]
    names = [name for name in rows[0] if name != "label"]
    with (checkout / "rows.csv").open("w", newline="") as target:
        writer = csv.DictWriter(target, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    cells = [{name: int(row[name]) for name in names} for row in rows]
    (checkout / "rows.json").write_text(json.dumps({"rows": cells, "probabilities": True}))
    return checkout


def statements(text: str) -> Iterator[str]:
    """The statements of a shell text, a quoted text over several lines being in one of them."""
    gathered = ""
    for line in text.splitlines():
        gathered += line + "\n"
        checked = subprocess.run(["bash", "-n"], input=gathered, text=True, capture_output=True)
        if checked.returncode == 0 and not checked.stderr and not gathered.endswith("\\\n"):
            yield gathered
            gathered = ""
    assert not gathered


def bash(script: str, folder: Path, **variables: str) -> str:
    """Run a script and return what it printed."""
    path = f"{PROGRAMS}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=folder,
        env={**os.environ, "PATH": path, "NO_COLOR": "1", **variables},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, f"{script}{done.stdout}{done.stderr}"
    return done.stdout


def documents(text: str) -> Iterator[Any]:
    """The JSON documents that stand in a text one after another."""
    decoder, text = json.JSONDecoder(), text.lstrip()
    while text:
        document, end = decoder.raw_decode(text)
        yield document
        text = text[end:].lstrip()


COMMAND_LINES = [
    snippet
    for name in ("README.md", "docs/start.md")
    for snippet in page(name, *SHELL)
    if "chainrule submit" in snippet.text
]


def test_readme_and_start_page_show_the_command_line() -> None:
    assert [snippet.page for snippet in COMMAND_LINES] == ["README.md", "docs/start.md"]


@pytest.mark.parametrize("snippet", COMMAND_LINES, ids=str)
def test_command_line_works_as_pasted(snippet: Snippet, url: str, checkout: Path) -> None:
    # Without the programs of the tests on the path: the page has to put its own there.
    path = os.pathsep.join(
        folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != PROGRAMS
    )
    lines = [line for s in page(snippet.page, *SHELL) for line in s.text.splitlines()]
    path_line = next(line for line in lines if line.startswith("export PATH"))
    script = f"PATH={path}\n{path_line}\n{snippet.text}"
    printed = bash(script, checkout, CHAINRULE_URL=url)
    assert "finished" in printed
    assert len(printed.splitlines()[-5:]) == 5
    assert all(line.isdigit() for line in printed.splitlines()[-5:])


@pytest.mark.parametrize("name", ["README.md", "docs/start.md"])
def test_one_command_leads_to_a_prediction(name: str, url: str, checkout: Path) -> None:
    text = "".join(s.text for s in page(name, *SHELL) if "chainrule fit" in s.text)
    fits = [line for line in statements(text) if line.startswith("chainrule fit")]
    assert fits
    for command in fits:
        printed = bash(command, checkout, CHAINRULE_URL=url)
        assert "the trivial baseline (majority class) has" in printed
        predict = printed.splitlines()[-1]
        assert predict.strip().startswith("chainrule predict")
        predictions = bash(predict, checkout, CHAINRULE_URL=url).splitlines()
        assert len(predictions) == 1797
        assert all(line.isdigit() for line in predictions)


def test_curl_lines_work_as_pasted(url: str, checkout: Path) -> None:
    [snippet] = [one for one in page("docs/start.md", *SHELL) if "curl" in one.text]
    script = snippet.text.replace("http://127.0.0.1:8000", url)
    assert url in script
    uploaded, job, measured = documents(bash(script, checkout))
    assert uploaded["version"] == 1
    assert job["status"] in {"queued", "running", "finished"}
    assert job["id"] == json.loads((checkout / "job.json").read_text())["id"]
    assert "items" in measured


def trained(desk: Path, **variables: str) -> str:
    """The id of a job that a reader of the pages in docs has trained."""
    bash("chainrule dataset add digits examples/digits.csv", desk, **variables)
    said = bash("chainrule submit examples/digits.json --watch --json", desk, **variables)
    job_id: str = json.loads(said)["id"]
    return job_id


def typed(name: str, desk: Path, **variables: str) -> dict[str, str]:
    """What each statement of a page prints."""
    text = "".join(snippet.text for snippet in page(name, *SHELL))
    return {one.strip(): bash(one, desk, **variables) for one in statements(text)}


def test_data_page(url: str, desk: Path) -> None:
    said = typed("docs/data.md", desk, CHAINRULE_URL=url)
    assert (
        "901 of 1797 rows" in said["chainrule dataset query digits 'label:[0 TO 4] AND NOT p00:>0'"]
    )
    assert (
        "digits@production is now digits@1" in said["chainrule dataset alias digits@1 production"]
    )
    few = said["chainrule dataset query digits@production 'label:3 @limit:5'"].splitlines()
    assert few[0] == "5 of 1797 rows"
    assert few[1].split()[0] == "label"
    assert "file:///" in said["chainrule dataset show copied@1"]
    threes = (desk / "threes.csv").read_text().splitlines()[1:]
    assert {line.rpartition(",")[2] for line in threes} == {"3"}
    made = said["chainrule dataset show binary@1"]
    assert "zeros and ones" in made
    assert "digits@1" in made
    assert "█" in made
    assert "binary" in said["chainrule dataset list --tag team:a"]
    replaced = said["chainrule dataset replace scans newer.csv --alias production"]
    assert "now mean scans@2: 1000 rows" in replaced
    path = f"{url}/v1/datasets/scans/versions/1"
    give_up_at = time.monotonic() + 60
    while not (gone := httpx.get(path).json())["erased_at"]:
        assert time.monotonic() < give_up_at
        time.sleep(0.2)
    assert gone["erase_cause"] == {"actor": "local", "reason": "asked for by its owner"}


def test_tracking_page(url: str, desk: Path) -> None:
    bash("git init -q . && git add examples", desk)
    bash("git -c user.name=a -c user.email=a@example.com commit -qm Begin", desk)
    (desk / "train.py").write_text("rate = 1\n")
    variables = {"CHAINRULE_URL": url, "CHAINRULE_SOURCE": "on"}
    first = trained(desk, **variables)
    said = typed("docs/tracking.md", desk, **variables, API=url, ID=first)
    assert bash("git rev-parse HEAD", desk).strip() in said["chainrule source latest"]
    assert (desk / "then" / "train.py").read_text() == "rate = 1\n"
    assert "finished" in said["chainrule watch latest"]
    assert "training ended" in said["chainrule logs latest"]
    streamed = next(text for words, text in said.items() if words.startswith("curl"))
    assert "event: metrics" in streamed
    assert streamed.rstrip().splitlines()[-2] == 'data: {"status": "finished"}'
    assert "identical weights" in said["chainrule reproduce latest"]
    assert "rows: truth, columns: answer" in said["chainrule insights latest"]
    assert "example.com" in said["chainrule webhooks list"]


def test_what_cannot_be_reproduced_is_said(url: str, desk: Path) -> None:
    trained(desk, CHAINRULE_URL=url)
    spec = json.loads((desk / "examples" / "digits.json").read_text())
    (desk / "timed.json").write_text(json.dumps({**spec, "epochs": 10**6, "max_seconds": 1.5}))
    bash("chainrule submit timed.json --watch", desk, CHAINRULE_URL=url)
    said = bash("chainrule reproduce latest || echo code $?", desk, CHAINRULE_URL=url)
    assert "the weights differ" in said
    assert "first in epoch" in said
    assert "first layer whose outputs differ at the end: network[" in said
    assert "code 1" in said


def test_models_page(addresses: tuple[str, str], desk: Path) -> None:
    url, tracker = addresses
    variables = {"CHAINRULE_URL": url, "API": url}
    said = typed("docs/models.md", desk, **variables, ID=trained(desk, **variables))
    of = {words: text for words, text in said.items() if words.startswith("chainrule model")}
    first, champion, second, taken, shown, predicted, back, _ = of.values()
    (measured,) = [text for words, text in said.items() if words.startswith("chainrule evaluate")]
    assert "registered digits@1" in first
    assert (desk / "answers.parquet").stat().st_size > 1000
    assert "all rows" in measured
    assert "label = 9" in measured
    assert "there is no other champion" in champion
    assert "registered digits@2" in second
    assert taken.startswith("promoted digits@2")
    assert "champion" in shown
    assert len(predicted.splitlines()) == 5
    assert "digits@champion is digits@1" in back
    assert (desk / "digits.onnx").stat().st_size > 1000
    answers = [json.loads(text) for words, text in said.items() if words.startswith("curl")]
    assert all(len(answer["predictions"]) == 5 for answer in answers)

    worse = "chainrule model promote digits 1 --dataset digits@1 --metric loss"
    bash("chainrule model alias digits 2", desk, **variables)
    refused = bash(f"{worse} || echo code $?", desk, **variables)
    assert "not promoted" in refused
    assert "code 1" in refused

    using, snippet = page("docs/models.md", "python")
    assert "accuracy" in python(using, desk, **variables)
    bash(f"chainrule watch {trained(desk, **variables)}", desk, **variables)
    # The newest run is one without a model.
    bash("chainrule evaluate digits@1 digits@1 --slice p11", desk, **variables)
    mirrored(tracker)
    output = python(snippet, desk, MLFLOW_TRACKING_URI=tracker)
    assert "prediction" in output
    assert "probability_9" in output
    assert champion_in_mlflow(tracker, "digits", "2") == "2"


def champion_in_mlflow(tracker: str, name: str, version: str) -> str | None:
    """The version of a model's champion in MLflow's registry, as soon as it is `version`."""
    champion, give_up_at = None, time.monotonic() + 60
    while champion != version and time.monotonic() < give_up_at:
        answer = httpx.get(
            f"{tracker}/api/2.0/mlflow/registered-models/get", params={"name": name}, timeout=30
        )
        if answer.is_success:
            aliases = answer.json()["registered_model"].get("aliases", [])
            champion = next((a["version"] for a in aliases if a["alias"] == "champion"), None)
        time.sleep(0.2)
    return champion


def test_sweeps_page(url: str, desk: Path) -> None:
    trained(desk, CHAINRULE_URL=url)
    said = typed("docs/sweeps.md", desk, CHAINRULE_URL=url)
    assert "a minute on" in said["chainrule sweep forecast examples/sweep.json"]
    assert "12/12" in said["chainrule sweep run examples/sweep.json"]
    command = "chainrule sweep edit latest --n-trials 14 --max-parallel 8"
    edited = said[command + """ --budget '{"seconds": 3600}'"""]
    assert edited.startswith("running")
    assert "14 trials" in edited
    added = said["""chainrule sweep add latest '{"optimizer.learning_rate": 0.02}'"""]
    assert "15 trials" in added
    for name in ("history", "importances", "curves"):
        assert "Plotly.newPlot" in (desk / f"{name}.html").read_text()
    [snippet] = page("docs/sweeps.md", "python")
    assert "optimizer.learning_rate" in python(snippet, desk)
    registered = said["chainrule sweep promote latest recogniser --alias champion"]
    assert "registered recogniser@1, recogniser@champion points at it" in registered
    assert len(said["chainrule model predict recogniser@champion rows.csv"].splitlines()) == 5
    assert "finished" in said["chainrule submit best.json --watch"]


def mirrored(tracker: str) -> None:
    """Wait until MLflow shows a run as finished."""
    give_up_at = time.monotonic() + 120
    while time.monotonic() < give_up_at:
        with suppress(httpx.HTTPError, KeyError):
            asked = {"experiment_ids": ["1"], "filter": "attributes.status = 'FINISHED'"}
            found = httpx.post(f"{tracker}/api/2.0/mlflow/runs/search", json=asked)
            if found.json()["runs"]:
                return
        time.sleep(0.5)
    raise AssertionError("no run is finished in MLflow")


def python(snippet: Snippet, desk: Path, **variables: str) -> str:
    """What a Python snippet prints."""
    done = subprocess.run(
        [sys.executable, "-c", snippet.text],
        cwd=desk,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("snippet", page("docs/start.md", "python"), ids=str)
def test_python_of_the_start_page_runs(snippet: Snippet, url: str, desk: Path) -> None:
    bash("chainrule dataset add digits examples/digits.csv", desk, CHAINRULE_URL=url)
    assert python(snippet, desk, CHAINRULE_URL=url)


def test_python_of_the_client_page_runs(url: str, desk: Path) -> None:
    bash("chainrule dataset add digits examples/digits.csv", desk, CHAINRULE_URL=url)
    snippets = page("docs/client.md", "python")
    printing = "print(len(losses), list(predictions), len(jobs))\n"
    whole = Snippet("docs/client.md", 0, "python", "".join(s.text for s in snippets) + printing)
    printed = python(whole, desk, CHAINRULE_URL=url)
    assert printed.startswith("finished 0.9")
    assert "'prediction', 'probability of 0'" in printed
