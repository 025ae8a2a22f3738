"""Secrets are recognized, in time proportional to the length of any text."""

import pytest

from chainrule.contract.secrets import changed_files, secret_in, secret_name
from tests.core.secret_samples import SAMPLES


@pytest.mark.parametrize("name", SAMPLES)
def test_secrets_are_recognized_and_not_repeated(name: str) -> None:
    path, text = SAMPLES[name]
    kind = secret_in(f"before\n{text}\nafter", path)
    assert kind
    assert text not in kind
    assert secret_in(f"{'x' * 5000}\n+{text}\n", path)


@pytest.mark.parametrize(
    "text",
    [
        "password = os.environ['PASSWORD']",
        "token: str = ''",
        "see https://example.com/path@2",
        "url = f'postgresql://{user}:{password}@db'",
        "secret = settings.secret",
        "for key, value in pairs: ...",
        "tokenizer = load('bert-base-uncased')",
        "pad_token='[PAD]'",
        "digest = '" + "9f8d7c6b5a493827" * 4 + "'",
        "index 9f8d7c6b5a49..16059f8d7c6b 100644",
        "from sk-learn-compatible-estimators import fit",
        "run(user='-u', group='1000:1000')",
        "api_token: SecretStr = Field(SecretStr(''), description='bearer token; required')",
        "Authorization: Bearer <CHAINRULE_API_TOKEN>",
    ],
)
def test_code_that_handles_secrets_has_none(text: str) -> None:
    assert secret_in(text, "train.py") is None


@pytest.mark.parametrize(
    "text",
    [
        "password: ${PASSWORD:?set it in .env}",
        "num_tokens: 4096000",
        "tokenizer: bert-base-uncased",
        "secret: null",
        "token: <your token>",
        "export TOKEN=$(make_token)",
        "POSTGRES_PASSWORD=",
    ],
)
def test_settings_that_name_secrets_have_none(text: str) -> None:
    assert secret_in(text, "config.yaml") is None


@pytest.mark.parametrize(
    "piece",
    [
        "a", "eyJ", "://", "://a:", "token", "token = '", "a-", "AKIa", "-----BEGIN ", "//",
        "xox-", "aws key", "secret_", "login a ", "wandb", "\n- token", "pass.",
        "Bearer ", " -u a", "glpat-~", "cloudant_key ", "_pass", "token:a",
    ],
)  # fmt: skip
def test_no_text_takes_long(piece: str) -> None:
    """A megabyte of anything is searched at once: the test's time limit is the check."""
    assert secret_in(piece * (2**20 // len(piece)), "config.yaml") is None


def test_names_of_files_that_hold_secrets() -> None:
    for name in (
        ".env", "a/.env.local", ".envrc", "deploy/server.key", "id_rsa", "x/credentials.json",
        "prod.tfvars", ".git-credentials",
    ):  # fmt: skip
        assert secret_name(name), name
    for name in ("train.py", "environment.yml", "keys.py", "a/secretary.py"):
        assert not secret_name(name), name


def test_a_diff_is_split_by_file() -> None:
    diff = (
        "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-a\n+b\n"
        "diff --git a/b c.yaml b/b c.yaml\nnew file mode 100644\n--- /dev/null\n+++ b/b c.yaml\n"
        "@@ -0,0 +1 @@\n+c\n"
        "diff --git a/d.bin b/d.bin\nold mode 100644\nnew mode 100755\n"
    )
    files = list(changed_files(diff))
    assert [path for path, _ in files] == ["a.py", "b c.yaml", "d.bin"]
    assert "".join(part for _, part in files) == diff
    assert list(changed_files("")) == []
