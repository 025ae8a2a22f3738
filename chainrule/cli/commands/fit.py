"""`chainrule fit`: train on a file, from nothing to a model."""

import os
import shlex
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.text import Text

from chainrule.cli import views
from chainrule.cli.assignments import Assignments, with_assignments
from chainrule.cli.commands.datasets.parsing import Parse, parse_options
from chainrule.cli.commands.jobs.jobs import exit_as
from chainrule.cli.commands.specs import (
    Target,
    VersionSource,
    proposal,
    refuse_replacing,
    version_for,
    write_spec,
)
from chainrule.cli.commands.sweeps.sweeps import watch
from chainrule.cli.files import checked_output
from chainrule.cli.options import URL, Json, Source, SourceFiles, Token, Url, client
from chainrule.cli.progress import conclude, follow
from chainrule.client import DEFAULT_URL, Client
from chainrule.client.jobs import Job
from chainrule.client.records import Record
from chainrule.client.transport import Document
from chainrule.contract.status import JobStatus
from chainrule.fitting import best_trial, held_out_scores, search
from chainrule.stack.stack import Stack
from chainrule.stack.temporary import DATA_DIR, HTTP_PORT, end_on_signal, serving


def install(app: typer.Typer) -> None:
    """Register the command of this module."""
    app.command("fit")(fit)


def fit(
    data: VersionSource,
    target: Target = None,
    parse: Parse = None,
    assignments: Assignments = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Search learning rate, width and weight decay for so long, and take the best.",
            min=0.01,
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The file for the JobSpec. Default: job.json next to the data.",
            show_default=False,
            callback=checked_output,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    data_dir: Annotated[
        Path,
        typer.Option(envvar="CHAINRULE_DATA_DIR", help="Data folder, if no server answers."),
    ] = DATA_DIR,
    source: Source = True,
    source_files: SourceFiles = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Train on a file: upload it, write a JobSpec that fits it, train and score the model.

    Empty cells are filled, text is encoded, numbers are standardized. Training stops early. The
    score on the test rows is shown with that of the trivial baseline.

    If no server answers, one runs for the time of the command, with the data folder of
    [bold]chainrule up[/], which continues with the trained model.

    [dim]chainrule fit pets.csv --target label[/]

    [dim]chainrule fit pets.csv --target label --set epochs=20 --set 'network[0].units=64'[/]

    [dim]chainrule fit pets.csv --target label --minutes 5[/]
    """
    _refuse_missing(data)
    if out is not None:
        refuse_replacing(out, force=force)
    with client(url, token, source=source, source_files=source_files) as server, serving(
        server, data_dir, lambda stack: _starting(stack, url, data_dir)
    ) as stack:  # fmt: skip
        version = version_for(server, data, parse_options(parse), visible=not as_json)
        spec = with_assignments(proposal(version, target), assignments)
        if minutes is None:
            file = _written(spec, out, data)
            job = follow(server, server.jobs.submit(spec)["id"], visible=not as_json)
        else:
            job, spec = _search(server, spec, minutes, visible=not as_json)
            file = _written(spec, out, data)
    if as_json:
        views.print_json({"job": job, "spec_file": str(file)})
    else:
        _show(job, file)
        _show_next(job, data, url, data_dir if stack is not None else None)
    exit_as(job, watched=True)


def _refuse_missing(data: str) -> None:
    """Raise BadParameter for a file that does not exist, before a server starts for it.

    A name with an ending is that of a file, unless it names a version of a dataset.
    """
    if Path(data).suffix and "@" not in data and not Path(data).exists():
        raise typer.BadParameter(f"there is no file {data!r}")


def _starting(stack: Stack, url: str, data_dir: Path) -> None:
    """Announce a stack that is about to start, and let signals end it."""
    views.ERRORS.print(
        f"no server answers at {url}: starting one for this command, with its files in "
        f"{data_dir.absolute()}",
        highlight=False,
        soft_wrap=True,
    )
    end_on_signal(stack)


def _written(spec: Document, out: Path | None, data: str) -> Path:
    """Write a spec to `out`, or to the first free name next to the data. Returns the file."""
    if out is None:
        folder = Path(data).parent if Path(data).exists() else Path()
        out, number = folder / "job.json", 1
        while out.exists():
            number += 1
            out = folder / f"job-{number}.json"
    write_spec(out, spec)
    return out


def _search(server: Client, spec: Document, minutes: float, *, visible: bool) -> tuple[Job, Record]:
    """Search around a job, and return the job of the best trial and its spec."""
    try:
        sweep = server.sweeps.begin(search(spec, minutes))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    job, best = best_trial(server, watch(server, sweep, visible=visible))
    if visible:
        conclude(job, views.CONSOLE)
    return job, best


def _show(job: Document, file: Path) -> None:
    """Print the scores of a job with that of the trivial baseline, and its JobSpec."""
    baseline = job.get("baseline") or {}
    compared = ""
    if not baseline and job["status"] == JobStatus.FINISHED:
        baseline, compared = {"metric": "baseline"}, "none: there are too few rows to hold out"
    elif baseline:
        compared = (
            f"{views.number(baseline['value'])} on {baseline['rows']} rows; the trivial baseline "
            f"({baseline['prediction']}) has {views.number(baseline['baseline_value'])}"
        )
    views.CONSOLE.print()
    views.facts(
        (
            ("test score", views.metrics(held_out_scores(job))),
            (baseline.get("metric", ""), compared),
            ("JobSpec", str(file)),
            ("job", job["id"]),
        )
    )


def _show_next(job: Document, data: str, url: str, data_dir: Path | None) -> None:
    """Print the commands that predict with the model; `data_dir`: of a stack that has ended."""
    if JobStatus(job["status"]) is not JobStatus.FINISHED:
        return
    if data_dir is not None:
        views.CONSOLE.print(
            "\nThe server has ended. Start it again, then predict in a second shell:"
        )
        _command("up", *_up_options(url, data_dir))
    else:
        views.CONSOLE.print("\nPredict with the model:")
    rows = data if Path(data).is_file() else "rows.csv"
    named = url not in (DEFAULT_URL, os.environ.get("CHAINRULE_URL"))
    _command("predict", job["id"][:8], rows, *(("--url", url) if named else ()))


def _up_options(url: str, data_dir: Path) -> tuple[str, ...]:
    """The options of `chainrule up` for the stack that has ended, unless they are the defaults."""
    folder = os.environ.get("CHAINRULE_DATA_DIR", str(DATA_DIR))
    port = str(urlsplit(url).port or HTTP_PORT)
    return (
        *(("--data-dir", str(data_dir)) if str(data_dir) != folder else ()),
        *(("--port", port) if url != DEFAULT_URL else ()),
    )


def _command(*words: str) -> None:
    views.CONSOLE.print(
        Text(f"  {shlex.join(['chainrule', *words])}", style="bold"), soft_wrap=True
    )
