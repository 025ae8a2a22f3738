"""Column types: moments to the millisecond, documents that any database accepts."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from core.db.session import reading, transaction
from core.db.tables import Experiment, Node
from core.db.types import from_milliseconds, storable, to_milliseconds

MOMENTS = st.datetimes(
    min_value=datetime(1600, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)


@given(MOMENTS)
def test_a_moment_survives_to_the_millisecond(moment: datetime) -> None:
    back = from_milliseconds(to_milliseconds(moment))
    assert back.tzinfo is UTC
    assert timedelta(0) <= moment - back < timedelta(milliseconds=1)


def test_a_moment_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        to_milliseconds(datetime(2026, 1, 1))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_a_storable_document_is_strict_json(value: object) -> None:
    written = json.dumps(storable(value), allow_nan=False, ensure_ascii=False)
    assert "\x00" not in written
    assert "\\u0000" not in written
    written.encode("utf-8")


def test_numbers_that_json_lacks_can_be_read_back() -> None:
    stored = storable({"a": [math.nan, math.inf, -math.inf, 1.5]})
    assert stored == {"a": ["NaN", "Infinity", "-Infinity", 1.5]}
    assert math.isnan(float(stored["a"][0]))
    assert float(stored["a"][2]) == -math.inf


def test_odd_documents_and_moments_are_stored_by_both_databases(engine: Engine) -> None:
    document = {"nul": "a\x00b", "half": "\ud800", "nan": math.nan, "tuple": (1, 2), "é😀": None}
    moment = datetime(2026, 2, 3, 4, 5, 6, 789_000, tzinfo=timezone(timedelta(hours=2)))
    with transaction(engine) as session:
        session.add(Node(name="n", host="h", devices=[], versions=document))
        session.add(Experiment(name="x", archived_at=moment))
    with reading(engine) as session:
        node = session.get_one(Node, "n")
        row = session.query(Experiment).one()
    assert node.versions == {
        "nul": "a\ufffdb",
        "half": "?",
        "nan": "NaN",
        "tuple": [1, 2],
        "é😀": None,
    }
    assert row.archived_at == moment
