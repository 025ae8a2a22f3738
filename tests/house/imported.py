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
    """The imports of the product and of the tests, with those that are no statements.

    A module imports its package. A package that loads its modules by name imports them.
    """
    graph = grimp.build_graph("api", "chainrule", "tests", *PACKAGES, cache_dir=None)
    for name in graph.modules:
        for module in graph.find_children(name):
            graph.add_import(importer=module, imported=name)
            if name == ROUTES or LOADING in _text(name):
                graph.add_import(importer=name, imported=module)
    return graph


def modules() -> set[str]:
    """The names of the modules of the packages."""
    return {name for name in graph().modules if name.partition(".")[0] in PACKAGES}


def processes() -> set[str]:
    """The modules that run as processes of their own."""
    return {name for name in modules() if GUARD in _text(name)}


def unimported(*roots: str) -> list[str]:
    """The modules of the packages that nothing below the packages `roots` imports."""
    tests = {name for root in roots for name in graph().find_descendants(root)}
    imported: set[str] = set().union(*map(graph().find_upstream_modules, tests))
    return sorted(modules() - imported - processes())


def _text(name: str) -> str:
    path = ROOT / name.replace(".", "/")
    file: Path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return file.read_text(encoding="utf-8") if file.exists() else ""
