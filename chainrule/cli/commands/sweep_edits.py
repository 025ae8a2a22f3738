"""Commands that change a sweep that has begun."""

import json
from typing import Annotated, Any

import typer

from chainrule.cli import views
from chainrule.cli.commands.sweep_results import SweepId, find
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.transport import Document


def install(sweep: typer.Typer) -> None:
    """Add the commands of this module."""
    sweep.command("pause")(pause)
    sweep.command("resume")(resume)
    sweep.command("cancel")(cancel)
    sweep.command("edit")(edit)
    sweep.command("add")(add)
    sweep.command("retry")(retry)
    sweep.command("changes")(changes)


def pause(sweep_id: SweepId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Begin no more trials until it is resumed; those begun go on."""
    with client(url, token) as server:
        _say(server.sweeps.pause(find(server, sweep_id)), as_json)


def resume(sweep_id: SweepId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Begin trials again."""
    with client(url, token) as server:
        _say(server.sweeps.resume(find(server, sweep_id)), as_json)


def cancel(sweep_id: SweepId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Begin no more trials and end those begun."""
    with client(url, token) as server:
        _say(server.sweeps.cancel(find(server, sweep_id)), as_json)


def edit(
    sweep_id: SweepId,
    n_trials: Annotated[int | None, typer.Option(help="Trials in all, those begun too.")] = None,
    max_parallel: Annotated[int | None, typer.Option(help="Trials at once.")] = None,
    search_space: Annotated[
        str | None, typer.Option(help="The whole new space, as JSON like in a SweepSpec.")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="As JSON, or only its kind.")] = None,
    pruner: Annotated[str | None, typer.Option(help="As JSON, or only its kind.")] = None,
    budget: Annotated[
        str | None, typer.Option(help="The whole new budget as JSON: seconds, epochs.")
    ] = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Change a sweep while it runs, or let one that has finished go on. What was tried is kept.

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
        raise typer.BadParameter("say what to change; --help lists it")
    with client(url, token) as server:
        _say(server.sweeps.edit(find(server, sweep_id), changes), as_json)


def add(
    sweep_id: SweepId,
    points: Annotated[
        list[str], typer.Argument(help="Points as JSON; a field left out is the sampler's choice.")
    ],
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Try points of your own next, each as a trial more.

    [dim]chainrule sweep add latest '{"optimizer.learning_rate": 0.01}'[/]
    """
    wanted = [_json(point) for point in points]
    with client(url, token) as server:
        _say(server.sweeps.add(find(server, sweep_id), wanted), as_json)


def retry(sweep_id: SweepId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Try again each trial whose job failed, under its number; the others are left alone."""
    with client(url, token) as server:
        _say(server.sweeps.retry(find(server, sweep_id)), as_json)


def changes(sweep_id: SweepId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """List who edited, paused, cancelled or retried a sweep, when and how."""
    with client(url, token) as server:
        found = server.sweeps.changes(find(server, sweep_id))
    if as_json:
        views.print_json(found)
        return
    views.table(
        ("at", "by", "did", "what"),
        ((one["at"], one["by"], one["kind"], json.dumps(one["what"])) for one in found),
        "nobody changed it",
    )


def _say(sweep: Document, as_json: bool) -> None:
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
    try:
        found = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text[:60]!r} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{text[:60]!r} is not a JSON object")
    return found
