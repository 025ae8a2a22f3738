"""Runs a script where nothing of ours can be imported: `launcher.py SCRIPT ARGUMENTS`."""

import runpy
import sys
from importlib.abc import MetaPathFinder

OURS = {"api", "chainrule", "core", "migrations", "worker"}


class Refusing(MetaPathFinder):
    """Stands before every other finder and refuses what is ours."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] in OURS:
            raise ImportError(f"{fullname} must not be needed")


if __name__ == "__main__":
    sys.meta_path.insert(0, Refusing())
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
