"""Tokens that are easy to guess are recognized."""

import secrets

import pytest

from chainrule.contract.tokens import MIN_BITS, entropy_bits, weakness


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "has 0 characters"),
        ("canary-7f1c0e", "has 13 characters"),
        ("1c8f09a77d5be24630af9b1ce2d6475", "has 31 characters"),
        ("a" * 40, "about 0 bits"),
        ("password" * 4, "about 22 bits"),
        ("0123" * 8, "about 8 bits"),
    ],
)
def test_tokens_that_are_too_easy_to_guess(token: str, reason: str) -> None:
    assert reason in (weakness(token) or "")


def test_random_tokens_are_accepted() -> None:
    for _ in range(1000):
        assert weakness(secrets.token_hex(16)) is None
        assert weakness(secrets.token_urlsafe(32)) is None


def test_entropy_counts_characters() -> None:
    assert entropy_bits("aabb") == 4
    assert entropy_bits("ab" * 8) == 2
    assert entropy_bits("") == 0
    assert entropy_bits("0123456789abcdeffedcba9876543210") == 128 > MIN_BITS
