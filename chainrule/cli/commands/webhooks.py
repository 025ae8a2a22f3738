"""`chainrule webhooks`: addresses that are told of what happens."""

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.text import Text

from chainrule.cli import views
from chainrule.cli.options import URL, Json, Token, Url, client, new_typer
from chainrule.client import Client
from chainrule.transport import Document

_COLOURS = {"delivered": "green", "failed": "red", "waiting": "yellow"}

WebhookId = Annotated[
    str,
    typer.Argument(metavar="WEBHOOK", help="Its id, the first characters of it, or the address."),
]


def install(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = new_typer("Tell an address when jobs, sweeps, datasets and models change.")
    group.command("add")(add)
    group.command("list")(list_webhooks)
    group.command("remove")(remove)
    group.command("ping")(ping)
    group.command("deliveries")(deliveries)
    group.command("replay")(replay)
    app.add_typer(group, name="webhooks")


def add(
    address: Annotated[str, typer.Argument(help="Where messages are sent, like https://...")],
    event: Annotated[
        list[str] | None,
        typer.Option("--event", "-e", help="Of what, like job.finished; again for more. Not: all."),
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Let an address be told of events. The secret that signs messages is shown once.

    [dim]chainrule webhooks add https://example.com/chainrule -e job.failed[/]
    """
    with client(url, token) as server:
        made = server.webhooks.add(address, events=event, description=description)
    if as_json:
        views.print_json(made)
        return
    views.facts(
        [
            ("webhook", made["id"]),
            ("events", ", ".join(made["events"])),
            ("secret", made["secret"]),
        ]
    )
    views.CONSOLE.print("[dim]Keep the secret: it is not shown again.[/]")


def list_webhooks(url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """List the webhooks."""
    with client(url, token) as server:
        found = list(server.webhooks.list())
    if as_json:
        views.print_json(found)
        return
    views.table(
        ("id", "address", "events", "made"),
        (
            (one["id"][:8], one["url"], ", ".join(one["events"]), views.ago(one["created_at"]))
            for one in found
        ),
        "no webhooks",
    )


def remove(webhook_id: WebhookId, url: Url = URL, token: Token = "") -> None:
    """Tell an address nothing any more, also not what still waits."""
    with client(url, token) as server:
        found = _find(server, webhook_id)
        server.webhooks.remove(found)
    views.CONSOLE.print(f"[green]removed[/] {found}")


def ping(webhook_id: WebhookId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Send a message that says nothing, to see whether it arrives."""
    with client(url, token) as server:
        _show([server.webhooks.ping(_find(server, webhook_id))], as_json)


def deliveries(
    webhook_id: WebhookId,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """List what an address was told or is still to be told, newest first."""
    with client(url, token) as server:
        every = server.webhooks.deliveries(_find(server, webhook_id))
        _show([one for one, _ in zip(every, range(limit), strict=False)], as_json)


def replay(
    webhook_id: WebhookId,
    delivery: Annotated[int, typer.Argument(help="Its number, as `deliveries` shows.")],
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Send a message once more, with the `webhook-id` it had."""
    with client(url, token) as server:
        _show([server.webhooks.replay(_find(server, webhook_id), delivery)], as_json)


def _show(found: Iterable[Document], as_json: bool) -> None:
    if as_json:
        views.print_json(found)
        return
    views.table(
        ("delivery", "event", "about", "state", "attempts", "last answer", "made"),
        (
            (
                str(one["id"]),
                one["event"],
                _about(one["data"]),
                Text(one["state"], style=_COLOURS[one["state"]]),
                str(one["attempts"]),
                one["error"] or str(one["status_code"] or ""),
                views.ago(one["created_at"]),
            )
            for one in found
        ),
        "nothing was to be told yet",
    )


def _about(data: Document) -> str:
    if "version" in data:
        return f"{data['name']}@{data['version']}"
    return str(data.get("id", ""))[:8]


def _find(server: Client, given: str) -> str:
    """The id of the webhook that `given` means: the start of an id, or an address."""
    matches = [
        one["id"]
        for one in server.webhooks.list()
        if one["id"].startswith(given) or one["url"] == given
    ]
    if len(matches) > 1:
        raise typer.BadParameter(f"{len(matches)} webhooks are {given}: give more of an id")
    return str(matches[0]) if matches else given
