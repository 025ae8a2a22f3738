"""Run the command line with `python -m chainrule.cli`."""

import sys

from chainrule.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
