"""`python -m chainrule.demo.holdout`: print the numbers of the digits' test rows as JSON.

This is a process of its own because it needs NumPy, which the command line does not import.
"""

import json

from chainrule.demo import digits
from core.data.split.split import split


def main() -> None:
    """Print the row numbers of the test part."""
    data = digits.SPEC["data"]
    labels = [row[digits.TARGET] for row in digits.rows()]
    parts = split(len(labels), data["split"], data["split_seed"], labels=labels)
    print(json.dumps(parts["test"].tolist()))


if __name__ == "__main__":
    main()
