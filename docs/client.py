"""Write docs/client.md, the page about the Python client, from its signatures and docstrings.

    python -m docs.client

Run it after a change of the client; a test compares the page.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chainrule.client import Client
from chainrule.client.datasets import Datasets
from chainrule.client.jobs import Job, Jobs
from chainrule.client.models import Models
from chainrule.client.sources import Sources
from chainrule.client.sweeps import Sweeps
from chainrule.client.webhooks import Webhooks

PAGE = Path(__file__).with_suffix(".md")
SECTIONS: dict[str, type] = {
    "client": Client,
    "client.jobs": Jobs,
    "job": Job,
    "client.datasets": Datasets,
    "client.sweeps": Sweeps,
    "client.models": Models,
    "client.sources": Sources,
    "client.webhooks": Webhooks,
}
"""How an object is written in a program, and its class."""

HEAD = """# The Python client

`pip install ./chainrule` installs the client and the command line, without the server. `Client` has
a method for each request of the REST API:

```python
from chainrule import Client

client = Client()
job = client.jobs.submit(
    {
        "experiment": "digits",
        "dataset": "digits@1",
        "data": {"target": "label"},
        "network": [64, "relu", 10],
        "loss": "cross_entropy",
        "optimizer": "adam",
        "epochs": 30,
        "metrics": ["accuracy"],
    }
)
job.wait()
print(job.status, job.last_metrics["test/accuracy"])
losses = job.history()["train/loss"].values
```

`Client(url, token)` names a server; otherwise `CHAINRULE_URL` and `CHAINRULE_API_TOKEN` do, or the
address of `chainrule up`. Answers are dictionaries whose fields are attributes, too; notebooks
complete their names and show them as tables. `chainrule.follow(client, job.id)` shows a job with a
progress bar until it ends.

DataFrames of pandas and polars go in, DataFrames of pandas come out:

```python
import pandas as pd

table = pd.read_csv("examples/digits.csv")
client.datasets.upload("digits-table", table)
predictions = job.predict(table.drop(columns="label").head(), probabilities=True)
jobs = client.jobs.to_frame(status="finished")
```

A request that the server refuses raises `chainrule.ProblemError`, whose `errors` name the fields
that are wrong. If no server answers, methods raise `chainrule.UnreachableError`.

`python -m docs.client` writes the tables below from the docstrings.
"""


def page() -> str:
    """Return the page."""
    return HEAD + "".join(_section(name, kind) for name, kind in SECTIONS.items())


def methods(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods of a class, in the order of its source."""
    for name, member in vars(kind).items():
        if not name.startswith("_") and inspect.isfunction(member):
            yield name, member


def _section(name: str, kind: type) -> str:
    rows = "".join(
        f"| `{name}.{method}({_parameters(function)})` | {_summary(function)} |\n"
        for method, function in methods(kind)
    )
    return f"\n## `{name}`\n\n{_summary(kind)}\n\n| method | what it does |\n|---|---|\n{rows}"


def _parameters(function: Any) -> str:
    """Return the names of the parameters, with a star before those that need their names."""
    _, *parameters = inspect.signature(function).parameters.values()
    names, starred = [], False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            names.append("*")
            starred = True
        names.append(("**" if parameter.kind is parameter.VAR_KEYWORD else "") + parameter.name)
    return ", ".join(names)


def _summary(documented: Any) -> str:
    """Return the first paragraph of a docstring as one line."""
    paragraph = " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())
    return paragraph.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
