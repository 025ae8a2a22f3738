"""Secrets are recognized, in time proportional to the length of any text."""

import pytest

from core.secrets import secret_in, secret_name

# Concatenated, so that no scanner reports this file as a leak.
SECRETS = [
    "-----BEGIN " + "OPENSSH PRIVATE KEY-----",
    "key = AKIA" + "ABCDEFGHIJKLMNOP",
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2" * 6,
    "glpat-" + "abcde" * 4,
    "xoxb-" + "1234567890",
    "AIza" + "a" * 35,
    "sk-" + "abcdefghij" * 2,
    "whsec_" + "abcd" * 8,
    "eyJ" + "a" * 20 + ".eyJ" + "b" * 20,
    "postgresql://ada:" + "lovelace@db/x",
    "PASSWORD = 'correct-" + "horse'",
    '"api_key": "' + 'abcdefgh"',
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_recognized_and_not_repeated(text: str) -> None:
    kind = secret_in(f"before\n{text}\nafter")
    assert kind
    assert text not in kind


@pytest.mark.parametrize(
    "text",
    [
        "password = os.environ['PASSWORD']",
        "token: str = ''",
        "see https://example.com/path@2",
        "url = f'postgresql://{user}:{password}@db'",
        "secret = settings.secret",
        "for key, value in pairs: ...",
    ],
)
def test_code_that_handles_secrets_has_none(text: str) -> None:
    assert secret_in(text) is None


@pytest.mark.parametrize(
    "piece", ["a", "eyJ", "://", "://a:", "token", "token = '", "a-", "AKIA", "-----BEGIN "]
)
def test_no_text_takes_long(piece: str) -> None:
    """A megabyte of anything is searched at once: the test's time limit is the check."""
    assert secret_in(piece * (2**20 // len(piece))) is None


def test_names_of_files_that_hold_secrets() -> None:
    for name in (".env", "a/.env.local", "deploy/server.key", "id_rsa", "x/credentials.json"):
        assert secret_name(name), name
    for name in ("train.py", "environment.yml", "keys.py", "a/secretary.py"):
        assert not secret_name(name), name
