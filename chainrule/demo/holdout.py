"""`python -m chainrule.demo.holdout`: which rows of the digits the job never trains on, as JSON.

A process of its own: it needs NumPy, which the command line does without.
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
