"""The command line; `chainrule --help` lists the commands."""

from chainrule.cli.app import main

__all__ = ["main"]
