"""The Python client of a server: a method for each request of its REST API."""

from chainrule.client.client import DEFAULT_URL, Client
from chainrule.client.problem import DeadlineError, ProblemError, UnreachableError

__all__ = ["DEFAULT_URL", "Client", "DeadlineError", "ProblemError", "UnreachableError"]
