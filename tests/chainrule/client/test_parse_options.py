"""Parse options of the client reach the server as they are."""

import pytest

from chainrule.client.parse_options import UNTYPED, content_type_with
from core.data.ingest.formats import options_of


@pytest.mark.parametrize("value", [",", "?,.", "a b", 'say "hi"', "é;x", "\\", "\t", "'", "%41"])
def test_options_arrive_as_they_were_given(value: str) -> None:
    kind = content_type_with("text/csv", {"nulls": value, "header": "absent"})
    assert options_of(kind) == {"nulls": value, "header": "absent"}


def test_several_values_are_joined() -> None:
    assert options_of(content_type_with(None, {"text": ["zip", "phone"]})) == {"text": "zip,phone"}
    assert content_type_with(None, None) == UNTYPED
    with pytest.raises(ValueError, match="'a,b' has a comma"):
        content_type_with(None, {"nulls": ["a,b"]})
