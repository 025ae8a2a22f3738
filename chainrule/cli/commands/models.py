"""`chainrule model`: name what jobs learned, measure it, let the best one answer."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from chainrule.cli import views
from chainrule.cli.commands.jobs import exit_as, find
from chainrule.cli.files import RowsFile, checked_output, read_rows
from chainrule.cli.options import URL, Json, Token, Url, client, new_typer
from chainrule.cli.predictions import (
    Interval,
    Probabilities,
    show_predictions,
    without_targets,
)
from chainrule.cli.progress import follow
from chainrule.cli.references import ModelReference, version_of
from chainrule.client import Client

models = new_typer("Register models, compare them, let an alias point at the best.")

Name = Annotated[str, typer.Argument(help="Name of the model, like digits.")]
Version = Annotated[int, typer.Argument(help="Which version.")]
AliasName = Annotated[str, typer.Option("--alias", help="The alias that is moved.")]
CHAMPION = "champion"


def install(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(models, name="model")


@models.command("register")
def register(
    name: Name,
    job_id: Annotated[str, typer.Argument(help="A finished job: its id, its start, or `latest`.")],
    description: Annotated[str, typer.Option(help="What is special about it.")] = "",
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Make a finished job's model the next version of a name.

    [dim]chainrule model register digits latest[/]
    """
    with client(url, token) as server:
        made = server.models.register(
            name, find(server, job_id, kind="train"), description=description
        )
    if as_json:
        views.print_json(made)
        return
    views.CONSOLE.print(f"[green]registered[/] {made['name']}@{made['version']}")


@models.command("list")
def list_models(url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """List all models."""
    with client(url, token) as server:
        found = list(server.models.list())
    if as_json:
        views.print_json(found)
        return
    views.table(
        ("name", "versions", "aliases", "created"),
        (
            (
                one["name"],
                str(one["latest_version"]),
                "  ".join(f"{alias} {version}" for alias, version in one["aliases"].items()),
                views.ago(one["created_at"]),
            )
            for one in found
        ),
        "no models yet: chainrule model register NAME JOB",
    )


@models.command("show")
def show(name: Name, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Show the versions of a model side by side, with what was measured of each."""
    with client(url, token) as server:
        model = server.models.get(name)
        versions = list(server.models.versions(name))
        measured = list(server.models.evaluations(name))
    if as_json:
        views.print_json({**model, "versions": versions, "evaluations": measured})
        return
    pointing: dict[int, list[str]] = {}
    for alias, version in model["aliases"].items():
        pointing.setdefault(version, []).append(alias)
    views.table(
        ("version", "aliases", "job", "data", "measured on", "metrics", "registered"),
        (
            (
                f"{name}@{one['version']}",
                " ".join(pointing.get(one["version"], [])),
                one["job_id"][:8],
                one["dataset"],
                on,
                "  ".join(f"{key} {views.number(value)}" for key, value in metrics.items()),
                views.ago(one["created_at"]),
            )
            for one in versions
            for on, metrics in [
                ("its job", one["metrics"]),
                *(
                    (found["dataset"], found["metrics"])
                    for found in measured
                    if found["job_id"] == one["job_id"]
                ),
            ]
        ),
        "no versions",
    )


@models.command("alias")
def set_alias(
    name: Name,
    version: Version,
    alias: AliasName = CHAMPION,
    url: Url = URL,
    token: Token = "",
) -> None:
    """Let an alias point at a version, whatever it is worth.

    [dim]chainrule model alias digits 2 --alias staging[/]
    """
    with client(url, token) as server:
        server.models.set_alias(name, alias, version)
    views.CONSOLE.print(f"[green]set[/] {name}@{alias} is {name}@{version}")


@models.command("promote")
def promote(
    name: Name,
    version: Version,
    dataset: Annotated[str, typer.Option(help="Compare on this dataset version.")],
    metric: Annotated[str, typer.Option(help="Compare by this metric.")] = "loss",
    margin: Annotated[float, typer.Option(min=0, help="How much better it must be.")] = 0.0,
    alias: AliasName = CHAMPION,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Measure a version and the present champion; move the alias if the version is better.

    [dim]chainrule model promote digits 2 --dataset digits@1 --metric accuracy[/]
    """
    with client(url, token) as server:
        rivals = {version}
        present = server.models.get(name)["aliases"].get(alias)
        if present is not None:
            rivals.add(present)
        measuring = [server.models.evaluate(f"{name}@{one}", dataset) for one in sorted(rivals)]
        for job in measuring:
            exit_as(
                follow(server, job["id"], visible=not as_json, console=views.ERRORS), watched=True
            )
        found = server.models.promote(
            name, version, alias, dataset=dataset, metric=metric, margin=margin
        )
    if as_json:
        views.print_json(found)
    else:
        word = "[green]promoted[/]" if found["promoted"] else "[yellow]not promoted[/]"
        views.CONSOLE.print(f"{word} {name}@{version}: {escape(found['reason'])}", soft_wrap=True)
    if not found["promoted"]:
        raise typer.Exit(1)


@models.command("rollback")
def roll_back(name: Name, alias: AliasName = CHAMPION, url: Url = URL, token: Token = "") -> None:
    """Let an alias point where it did before."""
    with client(url, token) as server:
        version = server.models.roll_back(name, alias)["version"]
    views.CONSOLE.print(f"[green]rolled back[/] {name}@{alias} is {name}@{version}")


@models.command("predict")
def predict(
    reference: ModelReference,
    file: RowsFile,
    probabilities: Probabilities = False,
    interval: Interval = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Let a registered model answer for rows of data, one line each.

    [dim]chainrule model predict digits@champion rows.csv[/]
    """
    rows = read_rows(file)
    with client(url, token) as server:
        version = server.models.version(*_version(server, reference))
        job = server.jobs.get(version["job_id"])
        rows = without_targets(rows, job["spec"]["data"]["target"])
        answer = server.models.predict(
            reference, rows, probabilities=probabilities, interval=interval
        )
    show_predictions(answer, as_json=as_json)


@models.command("export")
def export(
    reference: ModelReference,
    file: Annotated[Path, typer.Argument(help="The .onnx file to write.", callback=checked_output)],
    url: Url = URL,
    token: Token = "",
) -> None:
    """Write a model as an ONNX file, which runs without Chainrule.

    [dim]chainrule model export digits@champion digits.onnx[/]
    """
    with client(url, token) as server:
        content = server.models.onnx(*_version(server, reference))
    file.write_bytes(content)
    views.CONSOLE.print(f"[green]wrote[/] {file} ({views.size(len(content))})")


def _version(server: Client, reference: str) -> tuple[str, int]:
    return version_of(reference, server.models.get)
