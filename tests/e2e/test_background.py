"""A stack in the background, and a demonstration that stays until Ctrl-C."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.e2e

PROGRAM = (sys.executable, "-m", "chainrule.cli")


def run(folder: Path, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: text for name, text in os.environ.items() if not name.startswith("CHAINRULE_")}
    return subprocess.run(
        [*PROGRAM, *words, "--data-dir", str(folder)],
        env={**clean, "NO_COLOR": "1", **settings},
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_a_stack_in_the_background(tmp_path: Path) -> None:
    up = ("up", "--detach", "--port", "0", "--mlflow-port", "0")
    began = run(tmp_path, *up)
    assert began.returncode == 0, began.stdout + began.stderr
    try:
        facts = dict(line.split(None, 1) for line in began.stdout.splitlines()[:-1])
        assert httpx.get(f"{facts['api']}/healthz").is_success
        assert facts["log"] == str(tmp_path / "up.log")
        assert "ready" in (tmp_path / "up.log").read_text()
        status = run(tmp_path, "status", CHAINRULE_URL=facts["api"])
        assert status.returncode == 0, status.stderr
        assert facts["api"] in status.stdout
        assert "database" in status.stdout
        again = run(tmp_path, *up)
        assert again.returncode == 1
        assert "already runs a stack" in again.stderr
    finally:
        ended = run(tmp_path, "down")
    assert ended.returncode == 0, ended.stderr
    assert "stopped" in ended.stdout
    assert "nothing is left running" in (tmp_path / "up.log").read_text()
    assert "no stack runs" in run(tmp_path, "down").stdout
    assert run(tmp_path, "status", CHAINRULE_URL=facts["api"]).returncode == 1


def test_a_stack_that_cannot_start_says_why(tmp_path: Path) -> None:
    ended = run(tmp_path, "up", "--detach", "--port", "0", CHAINRULE_DATABASE_URL="nonsense://")
    assert ended.returncode == 1
    assert "the database URL names nonsense" in ended.stderr


def test_the_links_of_a_demonstration_that_stays_work(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, "demo", "--keep"],
        env={**os.environ, "TMPDIR": str(tmp_path), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        links: list[str] = []
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            links += [word for word in line.split() if word.startswith("http://")]
            if "Ctrl-C ends everything" in line:
                break
        try:
            assert len(links) == 3, "".join(lines)
            for link in links:
                assert httpx.get(link).is_success, link
        finally:
            process.send_signal(signal.SIGINT)
            rest = process.communicate(timeout=60)[0]
    assert process.returncode == 0, rest
    assert "The stack is stopped" in rest
    assert "http://" not in rest
