"""`python -m migrations` upgrades the database at CHAINRULE_DATABASE_URL to the newest schema."""

import argparse
import sys

from core.errors import ChainruleError
from core.settings import Settings
from migrations import runner


def main() -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m migrations", description=__doc__)
    parser.add_argument("--wait", type=float, default=30.0, help="seconds to wait for the database")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("upgrade", help="upgrade to the newest schema (the default)")
    commands.add_parser("check", help="compare the tables of the code with the database")
    back = commands.add_parser("downgrade", help="downgrade to an older schema")
    back.add_argument("revision", help="a revision, -1 or base")
    new = commands.add_parser("revise", help="write a revision for the changes of the code")
    new.add_argument("message")
    arguments = parser.parse_args()
    url = Settings().resolved_database_url
    try:
        if arguments.command == "check":
            runner.check(url)
        elif arguments.command == "downgrade":
            runner.downgrade(url, arguments.revision)
        elif arguments.command == "revise":
            runner.revise(url, arguments.message)
        else:
            runner.upgrade(url, wait_seconds=arguments.wait)
    except ChainruleError as error:
        print(f"migrations: {error.detail}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
