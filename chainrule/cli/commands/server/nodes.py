"""`chainrule nodes`: the machines with workers."""

import typer
from rich.markup import escape

from chainrule.cli import views
from chainrule.cli.capacity import state, warnings
from chainrule.cli.options import URL, Json, Token, Url, client


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("nodes")(list_nodes)


def list_nodes(url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """List the machines that have or had workers, and why a worker does not claim jobs.

    A sandbox is incomplete where the kernel lacks a part of it: --json says which.
    """
    with client(url, token) as server:
        nodes = list(server.nodes())
    if as_json:
        views.print_json(nodes)
        return
    views.table(
        ("node", "workers", "slots", "last heard of", "state"),
        (
            (node["name"], *_capacity(node), views.ago(node.get("heartbeat_at")), state(node))
            for node in nodes
        ),
        "no workers yet: start some with `chainrule up`",
    )
    for text in warnings(nodes):
        views.CONSOLE.print(f"[yellow]warning:[/] {escape(text)}", soft_wrap=True)


def _capacity(node: dict[str, object]) -> tuple[str, str]:
    workers = node.get("workers")
    running = [
        worker
        for worker in (workers if isinstance(workers, list) else [])
        if not worker.get("stopped_at")
    ]
    return str(len(running)), str(sum(worker["slots"] for worker in running))
