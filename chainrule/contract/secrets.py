"""Recognize secrets by file name or in a text, to keep them out of uploaded source code.

The tokens of many services are known to the detectors of detect-secrets. The patterns here add
other services, and passwords and keys that are written out. All searches take time proportional to
the length of the text.
"""

import importlib
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from functools import cache
from typing import Any

_NAMES = (
    ".env", ".env.*", "*.env", ".envrc", ".netrc", "_netrc", ".pypirc", ".npmrc", ".htpasswd",
    ".pgpass", ".boto", ".s3cfg", ".git-credentials", ".vault-token", ".dockercfg",
    ".dockerconfigjson", "kubeconfig", "*.kubeconfig", "*.tfvars", "*.tfstate", "*.tfstate.*",
    "*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ovpn", "*.ppk",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*",
    "credentials", "credentials.*", "secrets", "secrets.*", "*service-account*.json",
)  # fmt: skip

_CODE = (
    ".bas", ".c", ".cc", ".cl", ".cpp", ".cs", ".cu", ".cuh", ".cxx", ".f90", ".go", ".h", ".hpp",
    ".ipynb", ".java", ".jl", ".js", ".jsx", ".kt", ".lua", ".m", ".ml", ".php", ".pl", ".pxd",
    ".py", ".pyi", ".pyx", ".r", ".rb", ".rs", ".scala", ".swift", ".ts", ".tsx",
)  # fmt: skip
"""Suffixes of languages in which a text without quotes is an expression, not a value."""

_KEYWORD = (
    r"(?:passwo?r?d|passwd|passphrase|pwd|(?<=[_\-.])pass|secrets?|credentials?|token|"
    r"(?:api|access|secret|private|auth|account|encryption|signing|license)[_\-]?key)(?![a-z])"
)
_NAME = rf"[\w.\-]{{0,60}}?{_KEYWORD}[\w.\-]{{0,30}}"

_TEXTS = {
    "a private key": r"(?-i:-----BEGIN [A-Z ]{0,30}PRIVATE KEY|AGE-SECRET-KEY-1[0-9A-Z]{20})",
    "an access key of AWS": r"(?-i:\b(?:AKIA|ASIA)[0-9A-Z]{16}\b)",
    "a token of GitHub": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22})",
    "a token of Slack": r"\bxox[abeoprs]-[A-Za-z0-9\-]{10}",
    "a key of Google": r"(?-i:\bAIza[0-9A-Za-z_\-]{35}|\bGOCSPX-[0-9A-Za-z_\-]{20})",
    "an api key": (
        r"(?-i:\bsk-(?=[A-Za-z_\-]{0,80}[0-9])[A-Za-z0-9_\-]{20}|\bhf_[A-Za-z0-9]{30}"
        r"|\bdop_v1_[0-9a-f]{64}|\bhvs\.[A-Za-z0-9_\-]{20}|\bdckr_pat_[A-Za-z0-9_\-]{20}"
        r"|\bdapi[0-9a-f]{32}|\bkey-[0-9a-f]{32}\b)|wandb[^\n]{0,40}\b[0-9a-f]{40}\b"
        r"|_authToken=[^\s$]{8}"
    ),
    "a signing secret": r"(?-i:\bwhsec_[A-Za-z0-9+/=]{24})",
    "a signed address": r"[?&](?:sig|X-Amz-Signature)=[A-Za-z0-9%+/]{40}",
    "a web token": r"(?-i:\beyJ[A-Za-z0-9_\-]{10,300}\.eyJ[A-Za-z0-9_\-]{10})",
    "a bearer token": r"\b(?:bearer|basic)[ \t]{1,4}(?=[^\s]{0,80}[0-9])[A-Za-z0-9+/_.=\-]{16}",
    "a password in an address": r"://[^/\s:@\"']{0,100}:[^/\s:@\"'{}$]{1,100}@",
    "a password of a command": (
        r"[ \t](?:-u|--user)[ \t=]{1,4}[\"']?(?!\d+:\d)[^\s:\"'/]{1,64}:[^\s\"'{}$]{4}"
        r"|\blogin[ \t]{1,4}\S{1,100}\s{1,8}password[ \t]{1,4}\S{4}"
    ),
    "a password or key that is written out": (
        rf"{_KEYWORD}[\w.\-]{{0,30}}[\"']?\]?[ \t]{{0,8}}(?::[ \t]{{0,4}}\w{{1,20}}[ \t]{{0,8}})?"
        r"(?:[:=]=?|=>|,)[ \t]{0,8}[rbf]?[\"'][^\"'\s{}$<>\[\]]{6,200}[\"']"
    ),
}
_PATTERNS = [(kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _TEXTS.items()]

_UNQUOTED = re.compile(
    rf"^[+\- ]?[ \t]{{0,40}}(?:export[ \t]|set[ \t]|-[ \t]|ENV[ \t])?[ \t]{{0,4}}[\"']?{_NAME}"
    r"[\"']?[ \t]{0,8}[:=][ \t]{0,8}"
    r"(?!(?:none|null|true|false|string|optional|required)\b)"
    r"[^\s\"'{}$<>()\[\],:;][^\s\"'{}$<>()\[\]]{5,200}[ \t]{0,8}(?:#[^\n]{0,200})?\r?$",
    re.IGNORECASE | re.MULTILINE,
)

_VARIABLE = re.compile(r"(?:.*_)?(?:PASSWORD|PASSWD|TOKEN|SECRET|KEY|CREDENTIALS)", re.IGNORECASE)
_MIN_VALUE = 8
"""Shorter values of variables are too likely to be words."""

_DETECTORS = (
    "aws.AWSKeyDetector",
    "azure_storage_key.AzureStorageKeyDetector",
    "cloudant.CloudantDetector",
    "discord.DiscordBotTokenDetector",
    "github_token.GitHubTokenDetector",
    "gitlab_token.GitLabTokenDetector",
    "ibm_cloud_iam.IbmCloudIamDetector",
    "ibm_cos_hmac.IbmCosHmacDetector",
    "mailchimp.MailchimpDetector",
    "openai.OpenAIDetector",
    "private_key.PrivateKeyDetector",
    "pypi_token.PypiTokenDetector",
    "sendgrid.SendGridDetector",
    "slack.SlackDetector",
    "softlayer.SoftlayerDetector",
    "square_oauth.SquareOAuthDetector",
    "stripe.StripeDetector",
    "telegram_token.TelegramBotTokenDetector",
    "twilio.TwilioKeyDetector",
)
"""Detectors of detect-secrets. Those that guess by entropy are left out: digests are no secrets."""

_WINDOW = 1024
_OVERLAP = 256
"""Characters that a detector searches at once, and those that two windows share."""


def secret_name(path: str) -> bool:
    """Whether files with the name of `path` usually contain secrets."""
    name = path.rpartition("/")[2].lower()
    return any(fnmatch(name, pattern) for pattern in _NAMES)


def secret_in(text: str, path: str | None = None) -> str | None:
    """The kind of secret that `text` seems to contain, or None; never the secret itself.

    In a file that is not code, such as `config.yaml`, a value needs no quotes to be a password.
    Without a `path` the text counts as code.
    """
    for kind, pattern in _PATTERNS:
        if pattern.search(text):
            return kind
    if path is not None and not path.lower().endswith(_CODE) and _UNQUOTED.search(text):
        return "a password or key that is written out"
    return next(_detected(text), None)


def secret_variables(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The variables whose names say that they hold a secret, and their values."""
    for name, value in environment.items():
        if len(value) >= _MIN_VALUE and _VARIABLE.fullmatch(name):
            yield name, value


def changed_files(diff: str) -> Iterator[tuple[str, str]]:
    """The path and the changes of each file in `diff`, which is written as by `git diff`."""
    for part in re.split(r"^(?=diff --git )", diff, flags=re.MULTILINE):
        if part:
            yield _changed_file(part), part


def _changed_file(part: str) -> str:
    head = part[:4096].splitlines()
    for line in head[:8]:
        if line.startswith(("+++ b/", "--- a/")):
            return line[6:]
    return head[0][len("diff --git a/") :].partition(" b/")[0]


def _detected(text: str) -> Iterator[str]:
    """The kinds of secrets that the detectors of detect-secrets recognize."""
    for window in _windows(text):
        for kind, patterns in _detectors():
            if any(pattern.search(window) for pattern in patterns):
                yield f"a secret ({kind})"


def _windows(text: str) -> Iterator[str]:
    """Parts of `text`. A longer match would take the square of its length."""
    start = 0
    while start < len(text):
        end = start + _WINDOW
        line_end = text.rfind("\n", start + _OVERLAP, end)
        yield text[start : line_end if line_end > 0 and end < len(text) else end]
        start = line_end + 1 if line_end > 0 and end < len(text) else max(end - _OVERLAP, start + 1)
        if end >= len(text):
            return


@cache
def _detectors() -> list[tuple[str, list[re.Pattern[str]]]]:
    """The name and the patterns of each detector."""
    detectors = []
    for place in _DETECTORS:
        module, _, name = place.partition(".")
        detector: Any = getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)
        detectors.append((detector.secret_type, list(detector.denylist)))
    return detectors
