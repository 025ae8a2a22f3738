"""The page about specs is that of the schema, and names every field and kind."""

from core.family import members
from core.nn.layer import Layer
from core.nn.optimizer import Optimizer
from core.spec import JobSpec
from core.spec.data import DataSpec
from core.spec.sweep import SweepSpec
from docs.jobspec import PAGE, page
from docs.staging import GUIDES


def test_the_page_is_that_of_the_schema() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m docs.jobspec`"


def test_the_page_names_every_field_and_kind() -> None:
    text = page()
    for spec in (JobSpec, DataSpec, SweepSpec):
        for name, field in spec.model_fields.items():
            assert (f"| **`{name}`** |" if field.is_required() else f"| `{name}` |") in text
    for family in (Layer, Optimizer):
        for kind in members(family):
            assert f"\n#### {kind}\n" in text


def test_the_page_is_in_the_menu() -> None:
    assert PAGE.stem in GUIDES
