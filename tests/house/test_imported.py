"""The check of `make coverage` for modules that no test imports, on runs that are known."""

from collections.abc import Iterable
from pathlib import Path

from coverage import Coverage

from tests.house.imported import modules, started, unimported


def measured(path: Path, names: Iterable[str]) -> Coverage:
    """A run that executed the first line of each of the modules."""
    run = Coverage(data_file=path, config_file=False)
    run.get_data().add_lines({str(modules()[name]): [1] for name in names})
    return run


def test_a_module_that_no_test_imports_is_named(tmp_path: Path) -> None:
    assert not unimported(measured(tmp_path / "all", modules()))
    rest = [name for name in modules() if name != "core.status"]
    assert unimported(measured(tmp_path / "rest", rest)) == ["core.status"]


def test_what_runs_as_a_process_need_not_be_imported(tmp_path: Path) -> None:
    processes = started() & set(modules())
    assert "worker.__main__" in processes
    assert not unimported(measured(tmp_path / "data", set(modules()) - processes))
