"""The command line: `chainrule --help` tells what there is."""

from chainrule.cli.app import main

__all__ = ["main"]
