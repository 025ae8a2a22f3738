"""`chainrule model`: register, compare, promote and use models."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from chainrule.cli import views
from chainrule.cli.commands.jobs.jobs import exit_as, find
from chainrule.cli.files import RowsFile, checked_output, read_rows
from chainrule.cli.options import URL, Json, Token, Url, client, new_typer
from chainrule.cli.predictions import (
    Interval,
    Probabilities,
    predicted,
    show_predictions,
)
from chainrule.cli.progress import follow
from chainrule.cli.references import ModelReference, version_of
from chainrule.client import Client

models = new_typer("Register models, compare them, and point an alias at the best one.")

Name = Annotated[str, typer.Argument(help="Name of the model, like digits.")]
Version = Annotated[int, typer.Argument(help="Number of the version.")]
AliasName = Annotated[str, typer.Option("--alias", help="The alias to move.")]
CHAMPION = "champion"


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.add_typer(models, name="model")


@models.command("register")
def register(
    name: Name,
    job_id: Annotated[
        str, typer.Argument(help="A finished job: its id, its first characters, or `latest`.")
    ],
    description: Annotated[str, typer.Option(help="Description of the version.")] = "",
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Register the model of a finished job as the next version of a name.

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
    """List registered models."""
    with client(url, token) as server:
        listed = list(server.models.list())
    if as_json:
        views.print_json(listed)
        return
    views.table(
        ("name", "versions", "aliases", "created"),
        (
            (
                model["name"],
                str(model["latest_version"]),
                "  ".join(f"{alias} {version}" for alias, version in model["aliases"].items()),
                views.ago(model["created_at"]),
            )
            for model in listed
        ),
        "no models yet: chainrule model register NAME JOB",
    )


@models.command("show")
def show(name: Name, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Show the versions of a model and their evaluations."""
    with client(url, token) as server:
        model = server.models.get(name)
        versions = list(server.models.versions(name))
        evaluations = list(server.models.evaluations(name))
    if as_json:
        views.print_json({**model, "versions": versions, "evaluations": evaluations})
        return
    aliases: dict[int, list[str]] = {}
    for alias, version in model["aliases"].items():
        aliases.setdefault(version, []).append(alias)
    views.table(
        ("version", "aliases", "job", "data", "measured on", "metrics", "registered"),
        (
            (
                f"{name}@{row['version']}",
                " ".join(aliases.get(row["version"], [])),
                row["job_id"][:8],
                row["dataset"],
                data,
                "  ".join(f"{key} {views.number(value)}" for key, value in metrics.items()),
                views.ago(row["created_at"]),
            )
            for row in versions
            for data, metrics in [
                ("its job", row["metrics"]),
                *(
                    (evaluation["dataset"], evaluation["metrics"])
                    for evaluation in evaluations
                    if evaluation["job_id"] == row["job_id"]
                ),
            ]
        ),
        "no versions",
    )


@models.command("alias")
def set_alias(
    name: Name, version: Version, alias: AliasName = CHAMPION, url: Url = URL, token: Token = ""
) -> None:
    """Point an alias at a version, without comparing it.

    [dim]chainrule model alias digits 2 --alias staging[/]
    """
    with client(url, token) as server:
        current = server.models.set_alias(name, alias, version)["aliases"][alias]
    views.CONSOLE.print(f"[green]set[/] {name}@{alias} is {name}@{current}")


@models.command("promote")
def promote(
    name: Name,
    version: Version,
    dataset: Annotated[str, typer.Option(help="Compare on this dataset version, like digits@1.")],
    metric: Annotated[str, typer.Option(help="Compare by this metric.")] = "loss",
    margin: Annotated[float, typer.Option(min=0, help="Required improvement of the metric.")] = 0.0,
    alias: AliasName = CHAMPION,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Evaluate a version and the current champion, and move the alias if the version is better.

    Exit code 1 if it is not better.

    [dim]chainrule model promote digits 2 --dataset digits@1 --metric accuracy[/]
    """
    with client(url, token) as server:
        numbers = {version}
        current = server.models.get(name)["aliases"].get(alias)
        if current is not None:
            numbers.add(current)
        jobs = [server.models.evaluate(f"{name}@{number}", dataset) for number in sorted(numbers)]
        for job in jobs:
            exit_as(
                follow(server, job["id"], visible=not as_json, console=views.ERRORS), watched=True
            )
        decision = server.models.promote(
            name, version, alias, dataset=dataset, metric=metric, margin=margin
        )
    if as_json:
        views.print_json(decision)
    else:
        word = "[green]promoted[/]" if decision["promoted"] else "[yellow]not promoted[/]"
        views.CONSOLE.print(
            f"{word} {name}@{version}: {escape(decision['reason'])}", soft_wrap=True
        )
    if not decision["promoted"]:
        raise typer.Exit(1)


@models.command("rollback")
def roll_back(name: Name, alias: AliasName = CHAMPION, url: Url = URL, token: Token = "") -> None:
    """Move an alias back to its previous version."""
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
    """Predict rows of data with a registered model. Prints one line for each row.

    [dim]chainrule model predict digits@champion rows.csv[/]
    """
    rows = read_rows(file)
    with client(url, token) as server:
        version = server.models.version(*_version(server, reference))
        job = server.jobs.get(version["job_id"])
        answer = predicted(
            server.models,
            reference,
            rows,
            file,
            job["spec"]["data"]["target"],
            probabilities=probabilities,
            interval=interval,
        )
    show_predictions(answer, as_json=as_json)


@models.command("export")
def export(
    reference: ModelReference,
    file: Annotated[Path, typer.Argument(help="The .onnx file to write.", callback=checked_output)],
    url: Url = URL,
    token: Token = "",
) -> None:
    """Write a model as an ONNX file, which does not need Chainrule.

    [dim]chainrule model export digits@champion digits.onnx[/]
    """
    with client(url, token) as server:
        content = server.models.onnx(*_version(server, reference))
    file.write_bytes(content)
    views.CONSOLE.print(f"[green]wrote[/] {file} ({views.size(len(content))})")


def _version(server: Client, reference: str) -> tuple[str, int]:
    return version_of(reference, server.models.get)
