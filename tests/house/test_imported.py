"""Every module of core and worker is imported by a test, or is the start of a process."""

from tests.house.imported import processes, unimported


def test_tests_import_every_module() -> None:
    assert not unimported("tests")


def test_a_module_that_no_test_imports_is_named() -> None:
    assert "core.jobs.listing" in unimported("tests.core.db")
    assert "core.jobs.attempt.claims" not in unimported("tests.core.jobs")
    # Nor does a process import it for them.
    assert "worker.app" in unimported("tests.core.db")


def test_processes_are_found() -> None:
    assert {"worker.__main__", "worker.runner.__main__"} <= processes()
