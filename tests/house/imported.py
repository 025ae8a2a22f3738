"""Which modules of core and worker a measured run of the tests never imported: each is an error.

`make coverage` runs this on the data that it gathered, so what a test imports on its way to
something else counts as well: families import their members by name.
"""

import ast
import sys
from pathlib import Path

from coverage import Coverage

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "worker")
GUARD = 'if __name__ == "__main__":'


def modules() -> dict[str, Path]:
    """The modules of the packages, by name."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}


def started() -> set[str]:
    """Modules that tests run as processes of their own, and what these import: not measured."""
    names = set()
    for name, path in modules().items():
        text = path.read_text(encoding="utf-8")
        if path.name == "__main__.py" or GUARD in text:
            names.add(name)
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.ImportFrom) and node.module:
                    names.add(node.module)
    return names


def unimported(measured: Coverage) -> list[str]:
    """Names of the modules with statements of which none was executed."""
    data, unmeasured = measured.get_data(), started()
    return [
        name
        for name, path in modules().items()
        if name not in unmeasured and not data.lines(str(path)) and measured.analysis2(str(path))[1]
    ]


if __name__ == "__main__":
    run = Coverage()
    run.load()
    missing = unimported(run)
    if missing:
        sys.exit("no fast test imports\n  " + "\n  ".join(missing))
