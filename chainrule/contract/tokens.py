"""How hard it is to guess a token."""

import math
from collections import Counter

MIN_LENGTH = 32
MIN_BITS = 80

ADVICE = "python3 -c 'import secrets; print(secrets.token_hex(24))' prints one"


def entropy_bits(token: str) -> float:
    """The entropy of `token` in bits, estimated from how often each character occurs.

    A text that is repeated counts once. Random text of 32 hexadecimal digits has about 115 bits,
    32 equal characters have none. It is an upper bound: a sentence has less, because its
    characters depend on one another.
    """
    text = token[: (token + token).find(token, 1)] if token else token
    return sum(count * math.log2(len(text) / count) for count in Counter(text).values())


def weakness(token: str) -> str | None:
    """Why `token` is too easy to guess for a server that other machines reach, or None."""
    if len(token) < MIN_LENGTH:
        return f"has {len(token)} characters, and {MIN_LENGTH} or more are needed; {ADVICE}"
    if (bits := entropy_bits(token)) < MIN_BITS:
        return (
            f"repeats few characters: about {bits:.0f} bits of entropy, and {MIN_BITS} or more "
            f"are needed; {ADVICE}"
        )
    return None
