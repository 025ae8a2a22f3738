"""`python -m chainrule.cli` is `chainrule`."""

import sys

from chainrule.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
