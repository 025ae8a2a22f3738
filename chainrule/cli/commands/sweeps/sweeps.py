"""`chainrule sweep run|forecast|show|list`: start and follow sweeps."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from chainrule.cli import views
from chainrule.cli.commands.sweeps import edits, results
from chainrule.cli.commands.sweeps.results import SweepId, find
from chainrule.cli.files import read_object
from chainrule.cli.options import URL, Json, Source, SourceFiles, Token, Url, Yes, client, new_typer
from chainrule.client import Client
from chainrule.client.records import Record
from chainrule.client.transport import Document
from chainrule.contract.status import SweepStatus

_PAUSE_SECONDS = 0.5
_SHOWN_TRIALS = 10
_BAR_WIDTH = 60


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    sweep = new_typer("Search hyperparameters with many jobs.")
    sweep.command("run")(run)
    sweep.command("forecast")(forecast)
    sweep.command("show")(show)
    sweep.command("list")(list_sweeps)
    sweep.command("watch")(watch_sweep)
    sweep.command("delete")(delete)
    edits.install(sweep)
    results.install(sweep)
    app.add_typer(sweep, name="sweep")


def run(
    file: Annotated[
        Path,
        typer.Argument(help="A SweepSpec as a JSON file; - reads standard input.", allow_dash=True),
    ],
    source: Source = True,
    source_files: SourceFiles = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Start a sweep and watch it until it ends. Ctrl-C leaves it running.

    [dim]chainrule sweep run sweep.json[/]
    """
    spec = read_object(file, "SweepSpec")
    with client(url, token, source=source, source_files=source_files) as server:
        sweep = server.sweeps.begin(spec)
        sweep = watch(server, sweep, visible=not as_json)
        if as_json:
            views.print_json(sweep)
    if not sweep["best"]:
        raise typer.Exit(1)


def forecast(
    file: Annotated[
        Path,
        typer.Argument(help="A SweepSpec as a JSON file; - reads standard input.", allow_dash=True),
    ],
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Estimate the trials a minute, time and processor seconds of a sweep. Starts nothing.

    [dim]chainrule sweep forecast sweep.json[/]
    """
    with client(url, token) as server:
        estimate = server.sweeps.forecast(read_object(file, "SweepSpec"))
    if as_json:
        views.print_json(estimate)
        return
    basis = {
        "history": f"estimated from sweep {str(estimate['sweep_id'])[:8]}",
        "measured": "estimated from some batches timed now",
        "unknown": "without an estimate: no similar sweep, and such trials cannot be timed here",
    }[estimate["basis"]]
    views.CONSOLE.print(f"{estimate['trials']:,} trials, {basis}")
    if estimate["seconds"] is not None:
        views.CONSOLE.print(
            f"{estimate['trials_a_minute']:,.0f} a minute on {max(1, estimate['slots'])} slots: "
            f"{estimate['seconds']:,.1f} s, until {estimate['finish_at'][:19]}Z; "
            f"{estimate['cpu_seconds']:,.1f} processor seconds"
        )


def show(sweep_id: SweepId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Show a sweep: its status, its trials by status, and the best of them."""
    with client(url, token) as server:
        sweep = server.sweeps.get(find(server, sweep_id))
    if as_json:
        views.print_json(sweep)
    else:
        views.CONSOLE.print(_table(sweep, [], None))


def list_sweeps(
    status: Annotated[
        SweepStatus | None, typer.Option(help="Only sweeps with this status.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Only sweeps of this name.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only sweeps on digits, or digits@1.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of sweeps, newest first.")] = 50,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """List sweeps, newest first."""
    with client(url, token) as server:
        pages = server.sweeps.list(
            status=status.value if status else None, name=name, dataset=dataset
        )
        listed = [sweep for _, sweep in zip(range(limit), pages, strict=False)]
    if as_json:
        views.print_json(listed)
        return
    views.table(
        ("sweep", "status", "name", "trials", "best", "begun"),
        (
            (
                sweep["id"][:8],
                views.status(sweep),
                sweep["name"],
                f"{_ended(sweep)}/{sweep['n_trials']}",
                _objectives(sweep["best"][0]) if sweep["best"] else "",
                views.ago(sweep["created_at"]),
            )
            for sweep in listed
        ),
        "no sweeps: chainrule sweep run sweep.json",
    )


def watch_sweep(
    sweep_id: SweepId, url: Url = URL, token: Token = "", as_json: Json = False
) -> None:
    """Follow a sweep until it ends: its progress, the best trials so far, and the newest ones.

    Exit code 1 if no trial finished. Ctrl-C leaves the sweep running.

    [dim]chainrule sweep watch latest[/]
    """
    with client(url, token) as server:
        full_id = find(server, sweep_id)
        sweep = server.sweeps.wait(full_id) if as_json else _live(server, full_id)
    if as_json:
        views.print_json(sweep)
    if not sweep["best"]:
        raise typer.Exit(1)


def delete(sweep_id: SweepId, yes: Yes = False, url: Url = URL, token: Token = "") -> None:
    """Delete an ended sweep with its trials, their jobs, models, metrics and runs in MLflow.

    [dim]chainrule sweep delete 3f2a91c0[/]
    """
    with client(url, token) as server:
        full_id = find(server, sweep_id)
        if not yes:
            typer.confirm(f"Delete sweep {full_id} with all of its jobs?", abort=True)
        server.sweeps.delete(full_id)
    views.CONSOLE.print(f"[green]deleted[/] {full_id}")


def watch(server: Client, sweep: Document, *, visible: bool) -> Record:
    """Wait until a new sweep ends, with a live table if it is `visible`, and return the sweep."""
    if not visible:
        return server.sweeps.wait(sweep["id"])
    views.CONSOLE.print(f"[green]begun[/] {sweep['id']}")
    return _live(server, sweep["id"])


def _live(server: Client, sweep_id: str) -> Record:
    """Show a sweep until it ends, and return it."""
    sweep = server.sweeps.get(sweep_id)
    since, before = time.monotonic(), _ended(sweep)
    with Live(console=views.CONSOLE, auto_refresh=False) as live:
        while True:
            sweep = server.sweeps.get(sweep_id)
            done, seconds = _ended(sweep) - before, time.monotonic() - since
            rate = 60 * done / seconds if done and seconds > 0 else None
            over = SweepStatus(sweep["status"]).terminal
            first = max(-1, sum(sweep["trials"].values()) - _SHOWN_TRIALS - 1)
            trials = server.sweeps.trials(sweep["id"], after=first)
            live.update(_table(sweep, trials, rate), refresh=True)
            if over:
                return sweep
            time.sleep(_PAUSE_SECONDS)


def _table(sweep: Document, trials: Sequence[Document], rate: float | None) -> Group:
    states = "  ".join(f"{count} {state}" for state, count in sweep["trials"].items())
    head = Text.assemble(
        (sweep["name"], "bold"), "  ", views.status(sweep),
        f"  {_ended(sweep)}/{sweep['n_trials']}  {states}",
    )  # fmt: skip
    left = sweep["n_trials"] - _ended(sweep)
    if rate and left and not SweepStatus(sweep["status"]).terminal:
        head.append(f"  {rate:.0f} a minute, {60 * left / rate:.0f} s left")
    head.append(_spent(sweep))
    table = Table("trial", "status", "epochs", *_objective_names(sweep), "point",
                  box=None, pad_edge=False, header_style="bold")  # fmt: skip
    best = [{**trial, "best": True} for trial in sweep["best"][:_SHOWN_TRIALS]]
    for trial in [*best, *reversed(trials)]:
        table.add_row(
            f"{'best ' if trial.get('best') else ''}{trial['number']}",
            _status(trial),
            str(trial["epochs"] or ""),
            *(_values(trial) or [""] * len(_objective_names(sweep))),
            Text(_point(trial), style="bold" if trial.get("best") else ""),
        )
    bar = ProgressBar(total=max(1, sweep["n_trials"]), completed=_ended(sweep), width=_BAR_WIDTH)
    return Group(head, bar, table)


def _status(trial: Document) -> Text:
    """Return the status of a trial, with its finished folds while they train."""
    text, folds = views.status(trial), trial["folds"]
    if folds and not trial["ended_at"]:
        done = sum(fold["status"] == "finished" for fold in folds)
        text.append(f" {done}/{len(folds)} folds")
    return text


def _spent(sweep: Document) -> str:
    """Format what is used of each budget, and which one ended the sweep."""
    budget, spent = sweep["spec"].get("budget") or {}, sweep["spent"]
    parts = [
        f"{spent[name]:,.0f} of {most:,.0f} {name}"
        for name, most in budget.items()
        if most is not None
    ]
    if sweep["stopped_by"]:
        parts.append(f"stopped by its {sweep['stopped_by']}")
    return "".join(f"  {part}" for part in parts)


def _objective_names(sweep: Document) -> list[str]:
    given = sweep["spec"]["objective"]
    return [objective["metric"] for objective in (given if isinstance(given, list) else [given])]


def _objectives(trial: Document) -> str:
    return " · ".join(_values(trial))


def _values(trial: Document) -> list[str]:
    """Format the objectives of a trial, with the deviation of its folds if it has any."""
    values, deviations = trial["objectives"] or [], trial["deviations"]
    if not deviations:
        return [views.number(value) for value in values]
    both = zip(values, deviations, strict=True)
    return [f"{views.number(value)} ± {views.number(deviation)}" for value, deviation in both]


def _point(trial: Document) -> str:
    return "  ".join(
        f"{path} {views.number(v) if isinstance(v, int | float) else json.dumps(v)}"
        for path, v in trial["point"].items()
    )


def _ended(sweep: Document) -> int:
    return sum(n for state, n in sweep["trials"].items() if state not in _NOT_ENDED)


_NOT_ENDED = {"queued", "running", "paused", "open"}
