"""The README's commands, typed as they stand against a running `chainrule up`."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.brokers import free_port
from tests.house.snippets import ROOT, SHELL, snippets

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
PROGRAMS = Path(sys.executable).parent
README = [one for one in snippets(*SHELL) if one.page == "README.md"]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A stack that stays, as `make up` starts it."""
    port, folder = free_port(), tmp_path_factory.mktemp("stack")
    options = ["--data-dir", str(folder), "--port", str(port), "--mlflow-port", str(free_port())]
    with (folder / "up.log").open("w") as log:
        stack = subprocess.Popen([PROGRAMS / "chainrule", "up", *options], stdout=log, stderr=log)
    try:
        give_up_at = time.monotonic() + 120
        while time.monotonic() < give_up_at:
            with suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/readyz").is_success:
                    break
            assert stack.poll() is None, (folder / "up.log").read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        stack.send_signal(signal.SIGTERM)
        stack.wait(60)


@pytest.fixture
def desk(tmp_path):
    """Where a reader would type: the examples at hand, and some rows without labels."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    with (ROOT / "examples" / "digits.csv").open(newline="") as source:
        rows = list(csv.DictReader(source))[:5]
    names = [name for name in rows[0] if name != "label"]
    with (tmp_path / "rows.csv").open("w", newline="") as target:
        writer = csv.DictWriter(target, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path


def statements(text):
    """The statements of a shell text, a quoted text over several lines being in one of them."""
    gathered = ""
    for line in text.splitlines():
        gathered += line + "\n"
        checked = subprocess.run(["bash", "-n"], input=gathered, text=True, capture_output=True)
        if checked.returncode == 0 and not checked.stderr and not gathered.endswith("\\\n"):
            yield gathered
            gathered = ""
    assert not gathered


def bash(statement, desk, **variables):
    """Run one statement and return what it printed."""
    path = f"{PROGRAMS}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", statement],
        cwd=desk,
        env={**os.environ, "PATH": path, "NO_COLOR": "1", **variables},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, f"{statement}{done.stdout}{done.stderr}"
    return done.stdout


def test_curl_lines_work(url, desk):
    [snippet] = [one for one in README if "curl" in one.text]
    variables = {"API": url}
    answers = []
    for statement in statements(snippet.text):
        if statement.startswith(("API=", "#")):
            continue
        answers.append(json.loads(bash(statement, desk, **variables)))
        if "id" in answers[-1]:
            variables["ID"] = answers[-1]["id"]
    uploaded, submitted, looked, measured = answers
    assert uploaded["version"] == 1
    assert submitted["status"] == "queued"
    assert looked["id"] == submitted["id"]
    assert "items" in measured or "metrics" in measured


def test_command_line_works(url, desk):
    [snippet] = [one for one in README if "chainrule submit" in one.text]
    printed = [bash(statement, desk, CHAINRULE_URL=url) for statement in statements(snippet.text)]
    assert len(printed) == 3
    assert "finished" in printed[1]


@pytest.mark.parametrize(
    "snippet", [one for one in snippets("python") if one.page == "README.md"], ids=str
)
def test_python_runs(snippet, desk):
    done = subprocess.run(
        [sys.executable, "-c", snippet.text], cwd=desk, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
