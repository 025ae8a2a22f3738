"""All processes of Chainrule on one machine, started and stopped together."""


class StackError(Exception):
    """The stack cannot start or go on; the message says why and what to do."""
