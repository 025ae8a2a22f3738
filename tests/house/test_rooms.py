"""A folder is a room: few modules that are no members of a family, all on listed floors."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "worker", "core", "chainrule", "migrations", "benchmarks", "tests")
MOST_MODULES = 15

# Folders whose modules are members of one kind: family members, routes and revisions.
MEMBERS = {
    "core/nn/layers",
    "core/nn/losses",
    "core/nn/metrics",
    "core/nn/optimizers",
    "core/nn/schedules",
    "api/routes",
    "migrations/versions",
    "tests/api/routes",
}


def modules(folder: Path) -> list[str]:
    """The names of the modules that lie in a folder, without its door."""
    return sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")


def crowded(root: Path) -> list[str]:
    """Folders below `root` that hold more modules than a room may."""
    folders = {path.parent for name in PACKAGES for path in (root / name).rglob("*.py")}
    return [
        f"{folder.relative_to(root)} holds {len(modules(folder))} modules"
        for folder in sorted(folders)
        if folder.relative_to(root).as_posix() not in MEMBERS
        and len(modules(folder)) > MOST_MODULES
    ]


def test_no_room_is_crowded() -> None:
    assert not crowded(ROOT)


def test_a_crowded_room_is_noticed(tmp_path: Path) -> None:
    for number in range(MOST_MODULES + 1):
        path = tmp_path / "core" / f"module_{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert crowded(tmp_path) == ["core holds 16 modules"]


@pytest.mark.parametrize("folder", sorted(MEMBERS))
def test_each_exception_exists(folder: str) -> None:
    assert modules(ROOT / folder)


def rooms() -> list[str]:
    """Packages of api, worker, core and the command line that hold no members of one kind."""
    folders = (
        path.parent.relative_to(ROOT)
        for name in ("api", "worker", "core", "chainrule/cli", "chainrule/client")
        for path in (ROOT / name).rglob("__init__.py")
    )
    return sorted(folder.as_posix().replace("/", ".") for folder in folders)


# Packages that need no floors of their own: their modules are members of a family, or few.
WITHOUT_FLOORS = {
    "api.routes",
    "chainrule.cli.commands.models",
    "chainrule.cli.commands.server",
    "core.data.ingest.formats",
    "core.data.prepare.augmentations",
    "core.data.prepare.steps",
    "core.datasets",
    "core.db",
    "core.db.tables",
    "core.export",
    "core.export.layers",
    "core.models",
    "core.nn.layers",
    "core.nn.losses",
    "core.nn.metrics",
    "core.nn.optimizers",
    "core.nn.schedules",
    "core.notices",
    "core.search",
    "core.search.dimensions",
    "core.search.pruners",
    "core.search.samplers",
    "core.tracking",
}


def test_every_room_has_exhaustive_floors() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    listed = {
        container
        for contract in contracts
        if contract.get("exhaustive")
        for container in contract["containers"]
    }
    assert set(rooms()) - listed == WITHOUT_FLOORS
