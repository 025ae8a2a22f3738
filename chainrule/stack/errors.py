"""Why the stack does not start: one plain line each."""


class StackError(Exception):
    """The stack cannot start or go on; the message says why and what to do."""
