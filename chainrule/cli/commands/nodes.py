"""`chainrule nodes`: the machines that train."""

import typer

from chainrule.cli import views
from chainrule.cli.options import URL, Json, Token, Url, client


def install(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("nodes")(list_nodes)


def list_nodes(url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """List the machines that have or had workers."""
    with client(url, token) as server:
        found = list(server.nodes())
    if as_json:
        views.print_json(found)
        return
    views.table(
        ("node", "workers", "slots", "last heard of", "state"),
        (
            (one["name"], *_capacity(one), views.ago(one.get("heartbeat_at")), _state(one))
            for one in found
        ),
        "no workers yet: `chainrule up` starts some",
    )


def _state(node: dict[str, object]) -> str:
    """Whether its workers claim jobs, or why not."""
    workers = node.get("workers")
    reasons = [
        str(one.get("suspended_for") or "suspended")
        for one in (workers if isinstance(workers, list) else [])
        if one.get("suspended_at")
    ]
    if reasons:
        return f"{len(reasons)} suspended: {reasons[0]}"
    return "draining" if node.get("draining_at") else "ok"


def _capacity(node: dict[str, object]) -> tuple[str, str]:
    workers = node.get("workers")
    working = [
        one for one in (workers if isinstance(workers, list) else []) if not one.get("stopped_at")
    ]
    return str(len(working)), str(sum(one["slots"] for one in working))
