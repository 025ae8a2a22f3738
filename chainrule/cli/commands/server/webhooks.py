"""`chainrule webhooks`: addresses that receive events."""

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.text import Text

from chainrule.cli import views
from chainrule.cli.options import URL, Json, Token, Url, client, new_typer
from chainrule.client import Client
from chainrule.client.transport import Document

_COLOURS = {"delivered": "green", "failed": "red", "waiting": "yellow"}

WebhookId = Annotated[
    str,
    typer.Argument(
        metavar="WEBHOOK", help="Id of the webhook, its first characters, or its address."
    ),
]


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    group = new_typer("Send events of jobs, sweeps, datasets and models to an address.")
    group.command("add")(add)
    group.command("list")(list_webhooks)
    group.command("remove")(remove)
    group.command("ping")(ping)
    group.command("deliveries")(deliveries)
    group.command("replay")(replay)
    app.add_typer(group, name="webhooks")


def add(
    address: Annotated[
        str, typer.Argument(help="Address that receives messages, like https://...")
    ],
    event: Annotated[
        list[str] | None,
        typer.Option(
            "--event", "-e", help="An event, like job.finished. Repeatable. Default: all."
        ),
    ] = None,
    description: Annotated[str, typer.Option(help="Description of the webhook.")] = "",
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Send events to an address. The secret that signs the messages is shown once.

    [dim]chainrule webhooks add https://example.com/chainrule -e job.failed[/]
    """
    with client(url, token) as server:
        made = server.webhooks.add(address, events=event, description=description)
    if as_json:
        views.print_json(made)
        return
    views.facts(
        [("webhook", made["id"]), ("events", ", ".join(made["events"])), ("secret", made["secret"])]
    )
    views.CONSOLE.print("[dim]Keep the secret: it is not shown again.[/]")


def list_webhooks(url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """List the webhooks."""
    with client(url, token) as server:
        listed = list(server.webhooks.list())
    if as_json:
        views.print_json(listed)
        return
    views.table(
        ("id", "address", "events", "made"),
        (
            (hook["id"][:8], hook["url"], ", ".join(hook["events"]), views.ago(hook["created_at"]))
            for hook in listed
        ),
        "no webhooks",
    )


def remove(webhook_id: WebhookId, url: Url = URL, token: Token = "") -> None:
    """Send nothing more to an address, including messages that wait."""
    with client(url, token) as server:
        full_id = _find(server, webhook_id)
        server.webhooks.remove(full_id)
    views.CONSOLE.print(f"[green]removed[/] {full_id}")


def ping(webhook_id: WebhookId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Send an empty message, to test whether it arrives."""
    with client(url, token) as server:
        _show([server.webhooks.ping(_find(server, webhook_id))], as_json)


def deliveries(
    webhook_id: WebhookId,
    limit: Annotated[int, typer.Option(min=1, help="Number of deliveries, newest first.")] = 20,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """List the deliveries to an address and their results, newest first."""
    with client(url, token) as server:
        pages = server.webhooks.deliveries(_find(server, webhook_id))
        _show([delivery for delivery, _ in zip(pages, range(limit), strict=False)], as_json)


def replay(
    webhook_id: WebhookId,
    delivery: Annotated[int, typer.Argument(help="Number of the delivery, from `deliveries`.")],
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Send a message again, with the same `webhook-id`."""
    with client(url, token) as server:
        _show([server.webhooks.replay(_find(server, webhook_id), delivery)], as_json)


def _show(listed: Iterable[Document], as_json: bool) -> None:
    if as_json:
        views.print_json(listed)
        return
    views.table(
        ("delivery", "event", "about", "state", "attempts", "last answer", "made"),
        (
            (
                str(row["id"]),
                row["event"],
                _subject(row["data"]),
                Text(row["state"], style=_COLOURS[row["state"]]),
                str(row["attempts"]),
                row["error"] or str(row["status_code"] or ""),
                views.ago(row["created_at"]),
            )
            for row in listed
        ),
        "no deliveries yet",
    )


def _subject(data: Document) -> str:
    if "version" in data:
        return f"{data['name']}@{data['version']}"
    return str(data.get("id", ""))[:8]


def _find(server: Client, given: str) -> str:
    """Return the id of a webhook named by the start of its id, or by its address.

    Raises BadParameter if several match.
    """
    matches = [
        hook["id"]
        for hook in server.webhooks.list()
        if hook["id"].startswith(given) or hook["url"] == given
    ]
    if len(matches) > 1:
        raise typer.BadParameter(f"{len(matches)} webhooks match {given}: use the id of one")
    return str(matches[0]) if matches else given
