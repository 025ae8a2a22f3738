"""Files named on the command line: what is read, and errors that say what to do."""

import sys
from pathlib import Path

import pytest

from chainrule.cli.app import main
from chainrule.cli.files import read_rows


def message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int, str]:
    """The exit code and standard error of a command, on one line."""
    monkeypatch.setattr(sys, "argv", ["chainrule", *words])
    monkeypatch.setenv("COLUMNS", "400")
    try:
        code = main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    return code, " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("text", ['[{"a": 1}]', '{"rows": [{"a": 1}]}', '{"a": 1}'])
def test_rows_as_json(tmp_path: Path, text: str) -> None:
    file = tmp_path / "rows.json"
    file.write_text(text)
    assert read_rows(file) == [{"a": 1}]


READERS = [("predict", "latest"), ("model", "predict", "digits"), ("submit",), ("sweep", "run")]
CONTENTS = [
    ("latin.json", b"[\xfc]", "latin.json is not UTF-8 text (byte 1): save it as UTF-8"),
    ("deep.json", b"[" * 100_000, "deep.json is not usable: its JSON is nested too deeply"),
    ("list.json", b"[1]", 'list.json: rows are a JSON list of objects, like [{"x": 1}]'),
]


@pytest.mark.parametrize(
    ("name", "content", "expected"), CONTENTS, ids=lambda value: str(value)[:9]
)
def test_a_file_without_usable_rows(
    name: str,
    content: bytes,
    expected: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    code, error = message(capsys, monkeypatch, "predict", "latest", name)
    assert code == 2
    assert expected in error


@pytest.mark.parametrize("words", READERS, ids=" ".join)
@pytest.mark.parametrize("ending", ["csv", "json"])
def test_a_file_that_is_not_there_or_is_a_folder(
    words: tuple[str, ...],
    ending: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"rows.{ending}"
    code, error = message(capsys, monkeypatch, *words, name)
    assert code == 2
    assert f"there is no file {name}" in error
    Path(name).mkdir()
    code, error = message(capsys, monkeypatch, *words, name)
    assert code == 2
    assert f"cannot read {name}: Is a directory" in error


WRITERS = [
    ("sweep", "export", "latest", "{}.db"),
    ("sweep", "plot", "latest", "-o", "{}.html"),
    ("model", "export", "digits", "{}.onnx"),
    ("dataset", "pull", "digits@1", "{}.csv"),
    ("score", "digits", "digits@1", "-o", "{}.csv"),
]


@pytest.mark.parametrize("words", WRITERS, ids=" ".join)
def test_a_folder_that_is_not_there_is_named_before_the_server_is_asked(
    words: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, error = message(capsys, monkeypatch, *(word.format("out/file") for word in words))
    assert code == 2
    assert "there is no folder out: create it first" in error
    folder = Path(words[-1].format("file"))
    folder.mkdir()
    code, error = message(capsys, monkeypatch, *(word.format("file") for word in words))
    assert code == 2
    assert f"{folder} is a folder: name a file in it" in error


def test_an_error_of_the_operating_system_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "x" * 300
    code, error = message(capsys, monkeypatch, "dataset", "add", "pets", name)
    assert (code, error) == (1, f"error: {name}: File name too long: use a shorter name")


def test_a_token_that_no_request_can_carry(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, error = message(capsys, monkeypatch, "jobs", "--token", "schlüssel")
    assert code == 2
    assert "the token is not printable ASCII text" in error


def test_a_terminal_that_cannot_show_a_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def jobs() -> None:
        "größe".encode("ascii")

    monkeypatch.setattr("chainrule.cli.app.app", jobs)
    code, error = message(capsys, monkeypatch, "jobs")
    assert (code, error) == (
        1,
        r"error: cannot write '\xf6\xdf' as ascii: use UTF-8 (PYTHONUTF8=1)",
    )
