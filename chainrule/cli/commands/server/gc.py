"""`chainrule gc`: delete old data now; `chainrule storage`: what takes the space."""

from typing import Annotated, Any

import typer

from chainrule.cli import views
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.client.transport import Document


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("gc")(gc)
    app.command("storage")(storage)


def _days(default: int, text: str) -> Any:
    """The option for how many days things are kept, with the server's default (0: for ever)."""
    kept = f"{default} days" if default else "for ever"
    return typer.Option(min=0, show_default=False, help=f"{text} Kept by default: {kept}.")


def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted, without deleting it.")
    ] = False,
    events_days: Annotated[
        float | None, _days(90, "Events of jobs that ended so many days ago.")
    ] = None,
    logs_days: Annotated[float | None, _days(30, "Logs of such jobs.")] = None,
    metrics_days: Annotated[
        float | None, _days(90, "Points of their curves, except 1,000 of each curve.")
    ] = None,
    checkpoints_days: Annotated[float | None, _days(7, "Their checkpoints.")] = None,
    models_days: Annotated[
        float | None, _days(0, "Their models, unless registered or in use.")
    ] = None,
    predictions_days: Annotated[float | None, _days(0, "Their prediction files.")] = None,
    orphans_days: Annotated[float | None, _days(7, "Files that lost attempts left.")] = None,
    jobs_days: Annotated[
        float | None, _days(0, "Such jobs wholly, unless a sweep, model or evaluation needs them.")
    ] = None,
    idempotency_keys_days: Annotated[
        float | None, _days(7, "Idempotency keys so many days old.")
    ] = None,
    deliveries_days: Annotated[
        float | None, _days(30, "Messages to webhooks so many days old.")
    ] = None,
    sources_days: Annotated[
        float | None, _days(7, "Source code so many days old that no job names.")
    ] = None,
    uploads_days: Annotated[
        float | None, _days(7, "Uploads without a new part for so many days.")
    ] = None,
    workers_days: Annotated[
        float | None, _days(7, "Rows of workers without a heartbeat for so many days.")
    ] = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Delete old data now. The scheduler does so by itself, slowly, with the server's settings.

    Each option replaces the server's setting CHAINRULE_KEEP_..._DAYS for this call. Unless you
    say so, jobs are kept with their results and models. Registered models and datasets always are.

    [dim]chainrule gc --dry-run --models-days 30[/]
    """
    given = {
        "events_days": events_days,
        "logs_days": logs_days,
        "metrics_days": metrics_days,
        "checkpoints_days": checkpoints_days,
        "models_days": models_days,
        "predictions_days": predictions_days,
        "orphans_days": orphans_days,
        "jobs_days": jobs_days,
        "idempotency_keys_days": idempotency_keys_days,
        "deliveries_days": deliveries_days,
        "sources_days": sources_days,
        "uploads_days": uploads_days,
        "workers_days": workers_days,
    }
    rules = {name: days for name, days in given.items() if days is not None}
    with client(url, token) as server:
        report = server.collect_garbage({**rules, "dry_run": dry_run})
    if as_json:
        views.print_json(report)
        return
    views.table(
        ("kind", "kept", "rows", "files", "size"),
        (
            (_words(part), _kept(part), *_counts(part), views.size(part["bytes"]))
            for part in report["kinds"]
            if part["rows"] or part["files"] or part["bytes"]
        ),
        "nothing to delete",
    )
    if report["bytes"]:
        word = "would be deleted" if dry_run else "deleted"
        views.CONSOLE.print(f"{views.size(report['bytes'])} {word}")


def storage(url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Show what takes the space, for how long it is kept, and what is deleted next.

    Sizes of rows are estimates. Files of the store are counted every ten minutes at most.
    """
    with client(url, token) as server:
        report = server.storage()
    if as_json:
        views.print_json(report)
        return
    views.table(
        ("what", "where", "count", "size", "kept", "deleted next"),
        (
            (_words(part), part["place"], _count(part["count"]), _size(part["bytes"]),
             _kept(part), _next(part))
            for part in report["kinds"]
        ),
        "nothing is stored",
    )  # fmt: skip
    reusable = report["reusable_bytes"]
    free = f", {views.size(reusable)} of it free for new rows" if reusable else ""
    views.CONSOLE.print(f"database: {views.size(report['database_bytes'])}{free}")


def _words(part: Document) -> str:
    return str(part["kind"]).replace("_", " ")


def _kept(part: Document) -> str:
    days = part["days"]
    return "for ever" if days is None else f"{days:g} days"


def _count(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _size(size: int | None) -> str:
    return "" if size is None else views.size(size)


def _counts(part: Document) -> tuple[str, str]:
    return (
        f"{part['rows']:,}" if part["rows"] else "",
        f"{part['files']:,}" if part["files"] else "",
    )


def _next(part: Document) -> str:
    count = part["overdue_rows"] + part["overdue_files"]
    size = part["overdue_bytes"]
    return f"{count:,} ({views.size(size)})" if count else _size(size or None)
