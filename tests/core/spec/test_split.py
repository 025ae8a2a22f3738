"""Fractions of a split: parts that are not named get no rows, and no row is lost unseen."""

from typing import Any

import pytest
from pydantic import ValidationError

from core.spec.data import DataSpec, SplitSpec


def parts(**given: Any) -> tuple[float, float, float]:
    split = SplitSpec.model_validate(given)
    return split.train, split.valid, split.test


def refused(**given: Any) -> str:
    with pytest.raises(ValidationError) as raised:
        SplitSpec.model_validate(given)
    (error,) = raised.value.errors()
    return str(error["msg"]).removeprefix("Value error, ")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (0.8, 0.1, 0.1)),
        ({"train": 0.7, "valid": 0.3}, (0.7, 0.3, 0)),
        ({"train": 0.6, "test": 0.4}, (0.6, 0, 0.4)),
        ({"train": 1}, (1, 0, 0)),
        ({"train": 0.9, "valid": 0.1}, (0.9, 0.1, 0)),
        # The defaults of the others complete these.
        ({"train": 0.8}, (0.8, 0.1, 0.1)),
        ({"train": 0.7, "valid": 0.2}, (0.7, 0.2, 0.1)),
        ({"group_by": "patient", "train": 0.5, "valid": 0.5}, (0.5, 0.5, 0)),
        # All three set: rows are left out on purpose, as stored specs may do.
        ({"train": 0.7, "valid": 0.1, "test": 0.1}, (0.7, 0.1, 0.1)),
        # The column decides; fractions say which parts are used.
        ({"column": "part", "test": 0}, (0.8, 0.1, 0)),
    ],
)
def test_fractions_that_are_left_out(
    given: dict[str, Any], expected: tuple[float, float, float]
) -> None:
    assert parts(**given) == expected
    split = SplitSpec.model_validate(given)
    assert SplitSpec.model_validate(split.model_dump(mode="json")) == split


def test_tenths_that_binary_numbers_round_sum_to_one() -> None:
    assert parts(train=0.1 + 0.2, valid=0.7) == (0.1 + 0.2, 0.7, 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"train": 0.7},
            "10 % of the rows would be in no part (valid is 0.1, test is 0.1 by default): "
            'write {"train": 0.7, "valid": 0.3}; to leave rows out, set all three',
        ),
        (
            {"train": 0.5, "valid": 0.2},
            "20 % of the rows would be in no part (test is 0.1 by default): "
            'write {"train": 0.5, "valid": 0.2, "test": 0.3}; to leave rows out, set all three',
        ),
        (
            {"test": 0},
            "10 % of the rows would be in no part (train is 0.8, valid is 0.1 by default): "
            'write {"train": 0.9, "valid": 0.1, "test": 0}; to leave rows out, set all three',
        ),
        (
            {"train": 0.95},
            "train, valid and test sum to more than 1 (valid is 0.1, test is 0.1 by default): "
            'write {"train": 0.95, "valid": 0.05}',
        ),
        (
            {"valid": 0.2},
            "train, valid and test sum to more than 1 (train is 0.8, test is 0.1 by default): "
            'write {"train": 0.7, "valid": 0.2, "test": 0.1}',
        ),
        ({"train": 0.9, "valid": 0.9}, "train, valid and test sum to more than 1"),
        ({"valid": 0.5, "test": 0.5}, "Input should be greater than 0"),
        ({"train": 0.7, "valid": 0.4}, "train, valid and test sum to more than 1"),
    ],
)
def test_what_would_be_lost_or_counted_twice_is_said(given: dict[str, Any], message: str) -> None:
    assert refused(**given) == message


def test_a_fraction_that_is_no_number_is_named() -> None:
    assert "valid number" in refused(train="much", valid=0.3)
    assert "valid number" in refused(train=10**400, valid=0.3)


def test_the_split_of_a_query_is_complete() -> None:
    data = DataSpec.model_validate({"target": "y", "query": "@split:0.7:0.3 @seed:2"})
    assert (data.split.train, data.split.valid, data.split.test) == (0.7, 0.3, 0)
