"""The page about the client is that of its docstrings, and names every method."""

from chainrule.client import Client
from docs.client import PAGE, SECTIONS, methods, page
from docs.staging import GUIDES


def test_the_page_is_that_of_the_docstrings() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m docs.client`"


def test_the_page_names_every_method_of_every_part() -> None:
    parts = {type(part) for name, part in vars(Client()).items() if not name.startswith("_")}
    assert parts - {str} <= set(SECTIONS.values())
    for name, kind in SECTIONS.items():
        for method, _ in methods(kind):
            assert f"| `{name}.{method}(" in page()


def test_the_page_is_in_the_menu() -> None:
    assert PAGE.stem in GUIDES
