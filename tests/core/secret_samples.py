"""Made-up secrets of common kinds, concatenated so that no scanner reports this file as a leak."""

_HEX = "9f8d7c6b5a493827" + "16059f8d7c6b5a49"
_WORD = "lovelace" + "1815"
_LETTERS = "aB3dE6gH9jK2mN5p"

SAMPLES: dict[str, tuple[str, str]] = {
    "key id of AWS": ("a.py", "key = '" + "AKIA" + "QYLPMN5HFZ2KX3TB'"),
    "secret key of AWS": ("config", "aws_secret_access_key = " + "wJalrXUtnFEM" * 3 + "+/ab"),
    "GitHub": ("a.py", "ghp_" + "a1B2" * 9),
    "GitHub, fine-grained": ("a.py", "github_pat_" + "a1B2" * 6),
    "GitLab": ("a.py", "glpat-" + "abcd3" * 4),
    "Slack": ("a.py", "xoxb-" + "123456789012-123456789012-" + "abcdefABCDEF"),
    "Slack, webhook": (
        "a.py",
        "https://hooks.slack." + "com/services/T" + "00AB00CD/B00AB00CD/" + _LETTERS,
    ),
    "Google, API": ("a.py", "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"),
    "Google, service account": (
        "account.json",
        '"private_key": "-----BEGIN ' + 'PRIVATE KEY-----\\nMIIE"',
    ),
    "Google, OAuth": ("a.py", "GOCSPX-" + _LETTERS + "aB3d"),
    "OpenSSH": ("a.txt", "-----BEGIN " + "OPENSSH PRIVATE KEY-----"),
    "RSA": ("a.txt", "-----BEGIN RSA " + "PRIVATE KEY-----"),
    "PuTTY": ("a.txt", "PuTTY-User-Key-" + "File-2: ssh-rsa"),
    "web token": (
        "a.py",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0." + _LETTERS,
    ),
    "basic auth": ("a.py", "https://ada:" + _WORD + "@example.com/x"),
    "database": ("a.py", "postgresql+psycopg://ada:" + _WORD + "@db/x"),
    "broker without a user": ("a.py", "redis://:" + _WORD + "@redis:6379/0"),
    "password in YAML": ("config.yaml", "database:\n  password: " + _WORD),
    "password in TOML": ("config.toml", 'db_password = "' + _WORD + '"'),
    "password in INI": ("setup.cfg", "passwd=" + _WORD),
    "password in a call": ("a.py", "connect(user='ada', password='" + _WORD + "')"),
    "password in a mapping": ("a.py", "settings['db_password'] = '" + _WORD + "'"),
    "annotated password": ("a.py", "PASSWORD: str = '" + _WORD + "'"),
    "password in JSON": ("config.json", '"password": "' + _WORD + '"'),
    "key in JSON": ("config.json", '"api_key": "' + 'abcdefgh"'),
    "our own token": ("run.sh", "export CHAINRULE_API_TOKEN=" + _HEX),
    "our own token in code": ("a.py", "Client('https://x.example', token='" + _HEX + "')"),
    "our own webhook": ("a.py", "whsec_" + "abcd" * 8),
    "bearer": ("a.py", "{'Authorization': 'Bearer " + _HEX + "'}"),
    "Stripe": ("a.py", "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"),
    "OpenAI": ("a.py", "sk-proj-" + "abcDEF123456" * 4),
    "Anthropic": ("a.py", "sk-ant-api03-" + "abcDEF123456" * 6),
    "Hugging Face": ("a.py", "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH"),
    "npm": ("a.txt", "//registry.example/:_authToken=" + "npm_" + "aB3" * 12),
    "PyPI": ("a.txt", "pypi-AgEIcHlwaS5vcmc" + "aB3dE6" * 12),
    "SendGrid": (
        "a.py",
        "SG." + "aBcDeFgHiJkLmNoPqRsTuV." + "aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789aBcDeFg",
    ),
    "Twilio": ("a.py", "SK" + "0123456789abcdef" * 2),
    "Azure": ("a.py", "AccountKey=" + "aB3dE6gH" * 10 + "aBcDEF=="),
    "Azure, signed address": ("a.py", "?sv=2024&sig=" + "aB3dE6gH" * 5 + "%3D"),
    "Discord": ("a.py", "MTk4NjIyNDgzNDcxOTI1MjQ4" + ".Cl2FMQ." + "ZnCjm1XVW7vRze4b7Cq4se7kKWs"),
    "Telegram": ("a.py", "110201543:" + "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1"),
    "Mailgun": ("a.py", "key-" + _HEX),
    "DigitalOcean": ("a.py", "dop_v1_" + _HEX * 2),
    "Weights & Biases": ("a.py", "wandb.login(key='" + _HEX + "9f8d7c6b')"),
    "Datadog": ("agent.yaml", "dd_api_key: " + _HEX),
    "netrc": ("a.txt", "machine example.com login ada password " + _WORD),
    "curl": ("run.sh", "curl -u ada:" + _WORD + " https://example.com"),
}
"""By kind: the name of a file, and a line of it."""
