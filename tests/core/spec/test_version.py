"""Spec versions: an upgraded api does not starve older workers, nor hand them what they refuse."""

from typing import Annotated, Any, ClassVar, Literal

import pytest
from annotated_types import Gt
from pydantic import Field

from core.family import Family, Since, member
from core.nn.layers.dense import Dense
from core.spec import JobSpec
from core.spec.base import Spec
from core.spec.inference import EvaluationSpec, ScoringSpec
from core.spec.job import DIGITS
from core.spec.version import SPEC_VERSION, encode


class Shape(Family):
    """A family of its own: members of the real ones would stay for other tests."""


@member
class Circle(Shape):
    """A member that got a field."""

    kind: Literal["circle"] = "circle"
    radius: Annotated[float, Gt(0)]
    angle: Annotated[float, Since(2)] = 1.0


@member
class Ring(Shape):
    """A member that came later."""

    since: ClassVar[int] = 3
    kind: Literal["ring"] = "ring"


@member
class Group(Shape):
    """A member that holds others."""

    kind: Literal["group"] = "group"
    shapes: tuple[Shape, ...]


class Frame(Spec):
    """A part that got a field."""

    width: int = 1
    color: Annotated[str, Field(max_length=10), Since(4)] = "black"


class Matte(Spec):
    """A part that came later."""

    since: ClassVar[int] = 5
    depth: int = 1


class Picture(Spec):
    """A spec with all of them."""

    shapes: tuple[Shape, ...] = ()
    names: tuple[str, ...] = ()
    frame: Frame = Frame()
    matte: Annotated[Matte | None, Since(2)] = None
    tags: Annotated[dict[str, str], Field(default_factory=dict), Since(3)]
    paper: Annotated[Literal["a4", "a5", "a6"], Since(6, values=("a6",))] = "a4"


CIRCLE = {"kind": "circle", "radius": 2.0}


@pytest.mark.parametrize(
    ("given", "version"),
    [
        ({}, 1),
        ({"names": ["a"], "frame": {"width": 2}, "paper": "a5"}, 1),
        ({"shapes": [CIRCLE]}, 1),
        ({"shapes": [CIRCLE | {"angle": 1.0}]}, 1),
        ({"shapes": [CIRCLE, CIRCLE | {"angle": 2.0}]}, 2),
        ({"shapes": [CIRCLE, {"kind": "ring"}]}, 3),
        ({"shapes": [{"kind": "group", "shapes": [{"kind": "group", "shapes": []}]}]}, 1),
        ({"shapes": [{"kind": "group", "shapes": [CIRCLE | {"angle": 0.0}]}]}, 2),
        ({"tags": {"a": "b"}}, 3),
        ({"frame": {"color": "red"}}, 4),
        ({"matte": {"depth": 1}}, 5),
        ({"paper": "a6"}, 6),
    ],
)
def test_a_spec_needs_the_version_of_what_it_uses(given: dict[str, Any], version: int) -> None:
    spec = Picture.model_validate(given)
    document, needed = encode(spec)
    assert needed == version
    assert Picture.model_validate(document) == spec


def test_layers_of_a_network_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dense, "since", 7)
    assert encode(JobSpec.model_validate(DIGITS)).version == 7


def test_later_fields_are_written_only_where_they_are_used() -> None:
    circles = [CIRCLE, CIRCLE | {"angle": 2.0}]
    document, _ = encode(Picture.model_validate({"shapes": circles}))
    assert document == {
        "shapes": circles,
        "names": [],
        "frame": {"width": 1},
        "paper": "a4",
    }


@pytest.mark.parametrize(
    "spec",
    [
        JobSpec.model_validate(DIGITS),
        EvaluationSpec(dataset="digits@1"),
        ScoringSpec(dataset="digits@1", interval=0.9),
    ],
)
def test_what_is_sent_today_can_be_read_and_is_written_whole(spec: Spec) -> None:
    document, version = encode(spec)
    assert 1 <= version <= SPEC_VERSION
    assert type(spec).model_validate(document) == spec
