"""The source of a real repository: its commit, its changes, its new files, and no secret."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chainrule.client import source_capture
from chainrule.client.source_capture import capture
from core.spec.source import MOST_BYTES, MOST_FILES, SourceSpec
from tests.core.secret_samples import SAMPLES

KEY = "key = '" + "AKIA" + "ABCDEFGHIJKLMNOP'\n"


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    command = ["git", *who, *words]
    ran = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


def captured(folder: Path) -> dict[str, Any]:
    """The source of a folder that has one."""
    source = capture(folder)
    assert source is not None
    return source


def accepted(source: dict[str, Any]) -> SourceSpec:
    """The source as a server reads it, which finds no secrets there."""
    spec = SourceSpec.model_validate(source)
    assert not list(spec.secrets())
    return spec


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two commits' worth of files, nothing captured yet."""
    monkeypatch.setattr(source_capture, "FRESH_SECONDS", 0.0)
    git(tmp_path, "init", "--quiet", "--initial-branch=work")
    (tmp_path / "train.py").write_text("rate = 1\n")
    (tmp_path / "keys.py").write_text("key = None\n")
    (tmp_path / ".gitignore").write_text("ignored.txt\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "Begin")
    return tmp_path


def test_a_clean_project_is_its_commit(project: Path) -> None:
    git(project, "remote", "add", "origin", "https://ada:" + "secret@example.com/net.git")
    source = captured(project)
    assert source["commit"] == git(project, "rev-parse", "HEAD")
    assert source["branch"] == "work"
    assert source["repository"] == "https://example.com/net.git"
    assert not accepted(source).dirty


def test_changes_and_new_files_come_along_and_rebuild_the_project(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (project / "train.py").write_text("rate = 2\n")
    (project / "tiefe").mkdir()
    (project / "tiefe" / "netz ü.py").write_text("units = 4\n")
    (project / "ignored.txt").write_text("not this\n")
    source = captured(project / "tiefe")
    assert list(source["files"]) == ["tiefe/netz ü.py"]
    assert accepted(source).dirty
    again = tmp_path_factory.mktemp("again")
    git(again, "clone", "--quiet", str(project), ".")
    git(again, "checkout", "--quiet", source["commit"])
    (again / "changes.diff").write_text(source["diff"])
    git(again, "apply", "changes.diff")
    assert (again / "train.py").read_text() == "rate = 2\n"


def test_what_looks_like_a_secret_stays_here(project: Path) -> None:
    (project / "keys.py").write_text(KEY)
    (project / "train.py").write_text("rate = 3\n")
    (project / ".env").write_text("HOME=here\n")
    (project / "note.py").write_text(KEY)
    source = captured(project)
    assert "rate = 3" in source["diff"]
    assert "AKIA" not in str(source)
    assert {one["path"] for one in source["omitted"]} == {"keys.py", ".env", "note.py"}
    reasons = {one["path"]: one["reason"] for one in source["omitted"]}
    assert reasons.pop(".env") == "not a source file, and not named"
    assert all(reason.startswith("looks like") for reason in reasons.values())
    accepted(source)


def test_of_new_files_only_source_code_is_sent(project: Path) -> None:
    (project / ".envrc").write_text("export CHAINRULE_API_TOKEN=x\n")
    (project / "config.yaml").write_text("database:\n  password: lovelace\n")
    (project / "configs").mkdir()
    (project / "configs" / "small.yaml").write_text("units: 4\n")
    (project / "notes.md").write_text("remember\n")
    (project / "new.py").write_text("units = 4\n")
    source = captured(project)
    assert list(source["files"]) == ["new.py"]
    assert {one["path"] for one in source["omitted"]} == {
        ".envrc", "config.yaml", "configs/small.yaml", "notes.md"
    }  # fmt: skip
    assert "lovelace" not in str(source)


def test_a_named_file_is_sent_unless_it_holds_secrets(project: Path) -> None:
    (project / ".envrc").write_text("ready\n")
    (project / "config.yaml").write_text("database:\n  password: lovelace\n")
    (project / "configs").mkdir()
    (project / "configs" / "small.yaml").write_text("units: 4\n")
    source = source_capture.capture(project, ("configs/*", "config.yaml", ".envrc"))
    assert source is not None
    assert list(source["files"]) == ["configs/small.yaml"]
    assert "lovelace" not in str(source)
    accepted(source)


@pytest.mark.parametrize("kind", SAMPLES)
def test_no_sample_of_a_secret_is_sent_or_accepted(project: Path, kind: str) -> None:
    name, text = SAMPLES[kind]
    (project / f"new_{name}").write_text(f"first = 1\n{text}\n")
    (project / "train.py").write_text("rate = 4\n")
    (project / name).write_text(f"first = 1\n{text}\n")
    git(project, "add", "--intent-to-add", name)
    source = source_capture.capture(project, (f"new_{name}",))
    assert source is not None
    assert "rate = 4" in source["diff"]
    assert text.split()[-1] not in str(source)
    assert len(source["omitted"]) == 2
    diff = git(project, "diff", "HEAD")
    for path, spec in (
        ("diff", SourceSpec(diff=diff)),
        (f"files.new_{name}", SourceSpec(files={f"new_{name}": text})),
    ):
        error = next(spec.secrets())
        assert error.path == path
        assert error.message.startswith("this looks like")


def test_the_secrets_of_this_process_are_not_sent(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINRULE_API_TOKEN", "plain words as a token")
    (project / "train.py").write_text("say('plain words as a token')\n")
    source = captured(project)
    assert source["diff"] == ""
    assert source["omitted"] == [
        {"path": "train.py", "reason": "looks like the value of CHAINRULE_API_TOKEN"}
    ]


def test_what_is_too_large_is_not_searched_for_secrets(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "train.py").write_text("x" * (MOST_BYTES // 4 + 1))
    (project / "keys.py").write_text("key = 3\n")
    searched: list[str] = []

    def search(_: str, name: str) -> None:
        searched.append(name)

    monkeypatch.setattr(source_capture, "secret_in", search)
    assert [one["path"] for one in captured(project)["omitted"]] == ["train.py"]
    assert searched == ["keys.py"]


def test_what_is_large_or_no_text_is_left_out(project: Path) -> None:
    (project / "bytes.py").write_bytes(b"\xff\x00\xfe")
    (project / "zeros.py").write_bytes(b"a\x00b")
    (project / "large.py").write_text("x" * (MOST_BYTES // 4 + 1))
    (project / "link.py").symlink_to("/etc/passwd")
    for number in range(6):
        (project / f"part{number}.py").write_text("y" * (MOST_BYTES // 5))
    source = captured(project)
    omitted = {one["path"]: one["reason"] for one in source["omitted"]}
    assert omitted["bytes.py"] == omitted["zeros.py"] == "no text"
    assert omitted["link.py"] == "no regular file"
    assert "too many" in omitted["large.py"]
    assert "too many" in omitted["part5.py"]
    accepted(source)


def test_a_repository_without_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_capture, "FRESH_SECONDS", 0.0)
    git(tmp_path, "init", "--quiet")
    (tmp_path / "a.py").write_text("a = 1\n")
    git(tmp_path, "add", ".")
    source = captured(tmp_path)
    assert source["commit"] == source["diff"] == ""
    assert source["files"] == {"a.py": "a = 1\n"}


def test_outside_a_repository_it_is_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_capture, "FRESH_SECONDS", 0.0)
    script = tmp_path / "submit.py"
    script.write_text("print('hello')\n")
    monkeypatch.setattr(sys, "argv", [str(script), "--token", "hunter2hunter2"])
    source = captured(tmp_path)
    assert source["files"] == {"submit.py": "print('hello')\n"}
    assert source["command"] == "submit.py"
    assert "hunter2" not in str(source)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/pytest"])
    assert capture(tmp_path) is None


def test_its_limits_are_those_of_the_api() -> None:
    assert (source_capture.MOST_BYTES, source_capture.MOST_FILES) == (MOST_BYTES, MOST_FILES)


def test_a_machine_without_git(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(sys, "argv", [""])
    assert capture(project) is None
