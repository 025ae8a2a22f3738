"""Commands that change a running sweep."""

import json
from typing import Annotated, Any

import typer

from chainrule.cli import views
from chainrule.cli.commands.sweeps.results import SweepId, find
from chainrule.cli.files import parse_json
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.client.transport import Document


def install(sweep: typer.Typer) -> None:
    """Register the commands of this module."""
    sweep.command("pause")(pause)
    sweep.command("resume")(resume)
    sweep.command("cancel")(cancel)
    sweep.command("edit")(edit)
    sweep.command("add")(add)
    sweep.command("retry")(retry)
    sweep.command("changes")(changes)


def pause(sweep_id: SweepId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Start no more trials until `resume`. Running trials continue."""
    with client(url, token) as server:
        _show(server.sweeps.pause(find(server, sweep_id)), as_json)


def resume(sweep_id: SweepId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Start trials again."""
    with client(url, token) as server:
        _show(server.sweeps.resume(find(server, sweep_id)), as_json)


def cancel(sweep_id: SweepId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Start no more trials, and end the running ones."""
    with client(url, token) as server:
        _show(server.sweeps.cancel(find(server, sweep_id)), as_json)


def edit(
    sweep_id: SweepId,
    n_trials: Annotated[
        int | None, typer.Option(help="Number of trials, including existing ones.")
    ] = None,
    max_parallel: Annotated[int | None, typer.Option(help="Number of trials at once.")] = None,
    search_space: Annotated[
        str | None, typer.Option(help="The complete new space, as JSON like in a SweepSpec.")
    ] = None,
    sampler: Annotated[
        str | None, typer.Option(help="As JSON, or only its kind, like tpe.")
    ] = None,
    pruner: Annotated[str | None, typer.Option(help="As JSON, or only its kind, like tpe.")] = None,
    budget: Annotated[
        str | None, typer.Option(help="The complete new budget as JSON: seconds, epochs.")
    ] = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Change a running sweep, or extend a finished one. Existing trials are kept.

    [dim]chainrule sweep edit latest --n-trials 200 --sampler tpe[/]
    """
    given = {
        "n_trials": n_trials,
        "max_parallel": max_parallel,
        "search_space": None if search_space is None else _json(search_space),
        "sampler": None if sampler is None else _member(sampler),
        "pruner": None if pruner is None else _member(pruner),
        "budget": None if budget is None else _json(budget),
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter(
            "name what to change, like --n-trials 200; --help lists the options"
        )
    with client(url, token) as server:
        _show(server.sweeps.edit(find(server, sweep_id), changes), as_json)


def add(
    sweep_id: SweepId,
    points: Annotated[
        list[str],
        typer.Argument(help="Points as JSON. The sampler chooses fields that are left out."),
    ],
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Try points of your own next, each as an additional trial.

    [dim]chainrule sweep add latest '{"optimizer.learning_rate": 0.01}'[/]
    """
    parsed = [_json(point) for point in points]
    with client(url, token) as server:
        _show(server.sweeps.add(find(server, sweep_id), parsed), as_json)


def retry(sweep_id: SweepId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Try failed trials again, under their numbers."""
    with client(url, token) as server:
        _show(server.sweeps.retry(find(server, sweep_id)), as_json)


def changes(sweep_id: SweepId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """List who changed a sweep, when and how."""
    with client(url, token) as server:
        listed = server.sweeps.changes(find(server, sweep_id))
    if as_json:
        views.print_json(listed)
        return
    views.table(
        ("at", "by", "did", "what"),
        ((row["at"], row["by"], row["kind"], json.dumps(row["what"])) for row in listed),
        "no changes",
    )


def _show(sweep: Document, as_json: bool) -> None:
    if as_json:
        views.print_json(sweep)
        return
    states = ", ".join(f"{count} {state}" for state, count in sweep["trials"].items()) or "none yet"
    views.CONSOLE.print(
        f"[green]{sweep['status']}[/] {sweep['id']}: {sweep['n_trials']} trials, {states}"
    )


def _member(text: str) -> Any:
    return _json(text) if text.lstrip().startswith("{") else {"kind": text}


def _json(text: str) -> Any:
    document = parse_json(text, repr(text[:60]))
    if not isinstance(document, dict):
        raise typer.BadParameter(f"{text[:60]!r} is not a JSON object, like {{...}}")
    return document
