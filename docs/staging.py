"""Collect the pages of the documentation site in one folder, in the layout of the repository.

Guides link to other guides and to files of the repository. The links have to work in the repository
and on the site, so the source of the site has the layout of the repository: the pages, the files
that they link to, and a reference page for each package, whose docstrings mkdocstrings reads.

    python -m docs.staging FOLDER
"""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
DOCUMENTED = ("core", "chainrule")
"""Packages whose docstrings are published. OpenAPI describes `api`."""
UNDOCUMENTED = ("chainrule.cli",)
"""Packages without reference pages: the docstrings of commands are their help."""
GUIDES = (
    "start",
    "client",
    "data",
    "jobspec",
    "models",
    "sweeps",
    "tracking",
    "operating",
    "reliability",
    "security",
    "performance",
)
PROJECT = ("ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")


def pages() -> list[Path]:
    """Return the Markdown files of the site."""
    return [ROOT / "README.md", *(ROOT / name for name in PROJECT), *_below("docs", "*.md")]


def linked(page: Path) -> Iterator[Path]:
    """Yield the files of the repository that `page` links to."""
    for token in MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8")):
        for child in token.children or []:
            target = str(child.attrGet("href") or child.attrGet("src") or "").partition("#")[0]
            if target and "://" not in target:
                yield (page.parent / target).resolve()


def reference() -> dict[str, str]:
    """Return the text of each reference page by its name: a page for each package."""
    texts = {}
    for top in DOCUMENTED:
        for folder in sorted({path.parent for path in (ROOT / top).rglob("*.py")}):
            package = ".".join(folder.relative_to(ROOT).parts)
            names = sorted(path.stem for path in folder.glob("*.py"))
            modules = [f"{package}.{name}" for name in names if not name.startswith("__")]
            if modules and not package.startswith(UNDOCUMENTED):
                blocks = (f"## `{name}`\n\n::: {name}\n" for name in modules)
                texts[package] = f"# {package}\n\n" + "\n".join(blocks)
    return texts


def navigation(packages: list[str]) -> list[dict[str, object]]:
    """Return the menu of the site."""
    decisions = _below("docs/decisions", "*.md")
    return [
        {"Chainrule": "README.md"},
        {"Guides": ["docs/index.md", *(f"docs/{name}.md" for name in GUIDES)]},
        {"Project": list(PROJECT)},
        {"Decisions": [path.relative_to(ROOT).as_posix() for path in decisions]},
        {"Reference": [{name: f"reference/{name}.md"} for name in packages]},
    ]


def stage(folder: Path) -> None:
    """Write a new `folder`: `source/` with the pages and `mkdocs.yml` with the menu."""
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "source"
    for page in pages():
        for path in (page, *linked(page)):
            target = source / path.relative_to(ROOT)
            if path.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    texts = reference()
    (source / "reference").mkdir()
    for name, text in texts.items():
        (source / "reference" / f"{name}.md").write_text(text, encoding="utf-8")
    settings = {"INHERIT": str(ROOT / "mkdocs.yml"), "nav": navigation(list(texts))}
    # JSON is YAML.
    (folder / "mkdocs.yml").write_text(json.dumps(settings, indent=2), encoding="utf-8")


def _below(folder: str, pattern: str) -> list[Path]:
    return sorted((ROOT / folder).rglob(pattern))


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
