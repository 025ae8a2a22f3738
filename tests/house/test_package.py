"""What the wheels of client and server hold, and where their version comes from."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, version
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.testing import CliRunner

from api.app import create_app
from chainrule.cli.app import app
from core.settings import Settings

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SERVER = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
PROJECTS = {".": SERVER, "chainrule": ["chainrule"]}
CLIENT_BYTES = 30 * 10**6
"""How much the client may bring into an environment, without byte code."""
BACKEND = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


def wheel(source: Path, folder: Path, pretended: str = "") -> Path:
    """Build the wheel of `source` as an installer would; its path."""
    folder.mkdir()
    built = subprocess.run(
        [sys.executable, "-c", BACKEND, folder],
        cwd=source,
        env={**os.environ, "SETUPTOOLS_SCM_PRETEND_VERSION": pretended},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the wheels are built from, without their history."""
    folder = tmp_path_factory.mktemp("exported")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, folder / name)
    for package in (*SERVER, "chainrule"):
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return folder


def git(folder: Path, *words: str) -> None:
    """Run git in `folder` as someone who has no settings."""
    who = ("-c", "user.name=Someone", "-c", "user.email=someone@example.com")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("project", PROJECTS)
def test_wheel_holds_its_packages_with_license_and_types(
    exported: Path, tmp_path: Path, project: str
) -> None:
    with ZipFile(wheel(exported / project, tmp_path / "wheel")) as opened:
        names = opened.namelist()
        metadata = opened.read(next(name for name in names if name.endswith("METADATA"))).decode()
    packages = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == set(PROJECTS[project])
    assert {f"{package}/py.typed" for package in packages} <= set(names)
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    assert "License-Expression: Apache-2.0\n" in metadata


def test_client_runs_in_a_project_with_packages_of_the_same_names(
    exported: Path, tmp_path: Path
) -> None:
    with ZipFile(wheel(exported / "chainrule", tmp_path / "wheel")) as opened:
        opened.extractall(tmp_path / "project")
    for package in SERVER:
        (tmp_path / "project" / package).mkdir()
        (tmp_path / "project" / package / "__init__.py").write_text("raise SystemExit('theirs')")
    script = "import chainrule, chainrule.cli; chainrule.Client; print(chainrule.__file__)"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path / "project",
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(ran.stdout.strip()).is_relative_to(tmp_path)


def test_client_brings_little_with_it() -> None:
    seen = {"chainrule"}
    added = ["chainrule"]
    while added:
        for requirement in map(Requirement, distribution(added.pop()).requires or []):
            name = canonicalize_name(requirement.name)
            if name not in seen and (requirement.marker is None or requirement.marker.evaluate()):
                seen.add(name)
                added.append(name)
    files = [
        Path(str(file.locate()))
        for name in seen - {"chainrule"}
        for file in distribution(name).files or []
        if file.suffix != ".pyc"
    ]
    assert len(seen) > 7
    assert sum(file.stat().st_size for file in files if file.is_file()) < CLIENT_BYTES


def test_version_without_history_is_the_last_release_of_the_changelog(
    exported: Path, tmp_path: Path
) -> None:
    releases = re.findall(r"^## \[(\d\S*)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert wheel(exported, tmp_path / "wheel").name.split("-")[1] == releases[0]


def test_version_is_the_one_that_the_image_is_built_with(exported: Path, tmp_path: Path) -> None:
    assert wheel(exported, tmp_path / "wheel", "7.1.2").name.split("-")[1] == "7.1.2"


def test_version_is_the_tag(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tagged"
    shutil.copytree(exported, folder)
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "Release")
    git(folder, "tag", "v3.2.1")
    assert wheel(folder, tmp_path / "wheel").name.split("-")[1] == "3.2.1"
    git(folder, "commit", "--allow-empty", "-m", "Go on")
    assert wheel(folder, tmp_path / "later").name.split("-")[1].startswith("3.2.2.dev1+g")


def test_command_line_and_openapi_show_the_version_of_the_package(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["--version"])
    assert shown.stdout == f"chainrule {version('chainrule')}\n"
    document = create_app(Settings(data_dir=tmp_path)).openapi()
    assert document["info"]["version"] == version("chainrule-server") == version("chainrule")


def test_changelog_has_a_place_for_the_next_change_and_known_headings() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == "[Unreleased]"
    kinds = set(re.findall(r"^### (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_floor_of_coverage_only_rises() -> None:
    assert PROJECT["tool"]["coverage"]["report"]["fail_under"] >= 94
