"""What the documentation site is built from: all pages, what they link to, every package."""

import json
from pathlib import Path
from typing import Any

import pytest

from docs.staging import DOCUMENTED, ROOT, UNDOCUMENTED, linked, pages, stage


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "docs"
    stage(folder)
    return folder


def names(menu: Any) -> list[str]:
    """The pages that a part of the menu leads to."""
    if isinstance(menu, str):
        return [menu]
    parts = menu.values() if isinstance(menu, dict) else menu
    return [name for part in parts for name in names(part)]


def test_every_page_stands_in_the_menu_once(staged: Path) -> None:
    source = staged / "source"
    written = sorted(path.relative_to(source).as_posix() for path in source.rglob("*.md"))
    assert sorted(names(json.loads((staged / "mkdocs.yml").read_text())["nav"])) == written
    guides = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert guides <= set(written)


def test_links_lead_to_the_same_files_as_in_the_repository(staged: Path) -> None:
    targets = {target for page in pages() for target in linked(page) if target.is_file()}
    assert {path.suffix for path in targets} >= {".md", ".png", ".json", ".py"}
    for target in targets:
        copied = staged / "source" / target.relative_to(ROOT)
        assert copied.read_bytes() == target.read_bytes()


def test_every_module_has_its_place_in_the_reference(staged: Path) -> None:
    written = "".join(
        path.read_text() for path in (staged / "source" / "reference").glob("*.md")
    ).splitlines()
    for top in DOCUMENTED:
        for path in (ROOT / top).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            if not path.name.startswith("__") and not module.startswith(UNDOCUMENTED):
                assert f"::: {module}" in written


def test_commands_have_no_reference_page(staged: Path) -> None:
    pages = [path.stem for path in (staged / "source" / "reference").glob("*.md")]
    assert "chainrule.stack" in pages
    assert not [name for name in pages if name.startswith(UNDOCUMENTED)]


def test_a_page_that_was_there_before_is_gone(staged: Path) -> None:
    left = staged / "source" / "docs" / "left.md"
    left.write_text("# Left\n")
    stage(staged)
    assert not left.exists()
