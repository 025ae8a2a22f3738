"""Runs a script where our packages cannot be imported: `launcher.py SCRIPT ARGUMENTS`."""

import runpy
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

OURS = {"api", "chainrule", "core", "migrations", "worker"}


class Refusing(MetaPathFinder):
    """A finder before all others that refuses the packages of this project."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the interface of finders
        target: ModuleType | None = None,  # noqa: ARG002 - the interface of finders
    ) -> None:
        """Leave a module to the other finders. Raises ImportError for one of ours."""
        if fullname.partition(".")[0] in OURS:
            raise ImportError(f"{fullname} must not be needed")


if __name__ == "__main__":
    sys.meta_path.insert(0, Refusing())
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
