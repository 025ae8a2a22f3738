"""All processes of Chainrule on one machine, started and stopped together."""

from importlib.metadata import PackageNotFoundError, distribution

SERVER = "chainrule-server"
"""The distribution with the packages of the server: api, worker, core and migrations."""


class StackError(Exception):
    """The stack cannot start or go on; the message says why and what to do."""


class MissingServerError(ImportError):
    """Something needs the packages of the server, and only the client is installed."""


def require_server(purpose: str) -> None:
    """Raise MissingServerError, which says the remedy, if only the client is installed.

    `purpose` begins the sentence: `a server on this machine`, for example.
    """
    try:
        distribution(SERVER)
    except PackageNotFoundError:
        raise MissingServerError(
            f"{purpose} needs the server ({SERVER}), and only its client is installed here: run "
            "`pip install ./chainrule .` in a checkout of Chainrule"
        ) from None
