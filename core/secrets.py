"""Recognize secrets by file name or in a text, to keep them out of uploaded source code.

The patterns are bounded, so that a search takes time proportional to the length of any text.
"""

import re
from fnmatch import fnmatch

_NAMES = (
    ".env", ".env.*", "*.env", ".netrc", "_netrc", ".pypirc", ".npmrc", ".htpasswd", ".pgpass",
    "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ovpn",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*",
    "credentials", "credentials.*", "secrets", "secrets.*", "*service-account*.json",
)  # fmt: skip

_TEXTS = {
    "a private key": r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----",
    "an access key of AWS": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of GitHub": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22})",
    "a token of GitLab": r"\bglpat-[A-Za-z0-9_\-]{20}",
    "a token of Slack": r"\bxox[abeoprs]-[A-Za-z0-9\-]{10}",
    "a key of Google": r"\bAIza[0-9A-Za-z_\-]{35}",
    "an api key": r"\bsk-[A-Za-z0-9_\-]{20}",
    "a signing secret": r"\bwhsec_[A-Za-z0-9+/=]{24}",
    "a web token": r"\beyJ[A-Za-z0-9_\-]{10,300}\.eyJ[A-Za-z0-9_\-]{10}",
    "a password in an address": r"://[^/\s:@\"']{1,100}:[^/\s:@\"'{}$]{1,100}@",
    "a password or key that is written out": (
        r"(?i:passwo?r?d|passphrase|secret|api_?key|access_?key|private_?key|token)"
        r"[\"']?[ \t]{0,8}[:=][ \t]{0,8}[\"'][^\"'\s{}$<>]{8,200}[\"']"
    ),
}
_PATTERNS = [(kind, re.compile(pattern)) for kind, pattern in _TEXTS.items()]


def secret_name(path: str) -> bool:
    """Whether files with the name of `path` usually contain secrets."""
    name = path.rpartition("/")[2].lower()
    return any(fnmatch(name, pattern) for pattern in _NAMES)


def secret_in(text: str) -> str | None:
    """The kind of secret that `text` seems to contain, or None; never the secret itself."""
    return next((kind for kind, pattern in _PATTERNS if pattern.search(text)), None)
