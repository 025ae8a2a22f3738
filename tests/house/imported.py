"""The modules that tests import, directly or through other modules."""

from functools import cache
from pathlib import Path

import grimp

from tests.house.sources import ROOT

PACKAGES = ("core", "worker")
"""The packages whose modules all have to be imported by a test."""

GUARD = 'if __name__ == "__main__":'
"""A module with it runs as a process, which tests start."""


ROUTES = "api.routes"
"""The package whose modules `api.app` imports by name."""

LOADING = "load(__name__, __path__)"
"""How a family imports its members by name."""


@cache
def graph() -> grimp.ImportGraph:
    """The imports of the product and of the tests."""
    return grimp.build_graph("api", "chainrule", "tests", *PACKAGES, cache_dir=None)


def modules() -> set[str]:
    """The names of the modules of the packages."""
    return {name for name in graph().modules if name.partition(".")[0] in PACKAGES}


def reached(*seeds: str) -> set[str]:
    """The seeds with all that they import. A package that loads its modules by name imports them.

    A package is imported with each of its modules.
    """
    names, rest = set(seeds), list(seeds)
    while rest:
        name = rest.pop()
        imported = graph().find_modules_directly_imported_by(name)
        if _loads_its_modules(name):
            imported |= graph().find_children(name)
        if "." in name:
            imported.add(name.rpartition(".")[0])
        rest += imported - names
        names |= imported
    return names


def processes() -> set[str]:
    """The modules that run as processes of their own."""
    return {
        name
        for name in modules()
        if _file(name).exists() and GUARD in _file(name).read_text(encoding="utf-8")
    }


def unimported(*roots: str) -> list[str]:
    """The modules of the packages that nothing below the packages `roots` imports or starts."""
    tests = {name for root in roots for name in graph().find_descendants(root)}
    return sorted(modules() - reached(*tests, *processes()))


def _file(name: str) -> Path:
    path = ROOT / name.replace(".", "/")
    module = path.with_suffix(".py")
    return module if module.exists() else path / "__init__.py"


def _loads_its_modules(name: str) -> bool:
    """Whether importing the package imports its modules by name."""
    file = _file(name)
    is_package = file.name == "__init__.py" and file.exists()
    return name == ROUTES or (is_package and LOADING in file.read_text(encoding="utf-8"))
