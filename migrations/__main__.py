"""`python -m migrations` brings the database of CHAINRULE_DATABASE_URL to the newest schema."""

import argparse
import sys

from core.errors import ChainruleError
from core.settings import Settings
from migrations import runner


def main() -> int:
    """Do what the command line says; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m migrations", description=__doc__)
    parser.add_argument("--wait", type=float, default=30.0, help="seconds to wait for the database")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("upgrade", help="to the newest schema (the default)")
    commands.add_parser("check", help="do the tables of the code equal the database's?")
    back = commands.add_parser("downgrade", help="back to an older schema")
    back.add_argument("revision", help="a revision, -1 or base")
    new = commands.add_parser("revise", help="write a revision from what changed in the code")
    new.add_argument("message")
    given = parser.parse_args()
    url = Settings().resolved_database_url
    try:
        if given.command == "check":
            runner.check(url)
        elif given.command == "downgrade":
            runner.downgrade(url, given.revision)
        elif given.command == "revise":
            runner.revise(url, given.message)
        else:
            runner.upgrade(url, wait_seconds=given.wait)
    except ChainruleError as error:
        print(f"migrations: {error.detail}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
