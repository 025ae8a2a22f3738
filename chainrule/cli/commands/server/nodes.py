"""`chainrule nodes`: the machines with workers."""

import typer

from chainrule.cli import views
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
            (node["name"], *_capacity(node), views.ago(node.get("heartbeat_at")), _state(node))
            for node in nodes
        ),
        "no workers yet: start some with `chainrule up`",
    )


def _state(node: dict[str, object]) -> str:
    """Return whether the workers claim jobs, or why not, and whether runners are confined."""
    workers = node.get("workers")
    reasons = [
        str(worker.get("suspended_for") or "suspended")
        for worker in (workers if isinstance(workers, list) else [])
        if worker.get("suspended_at")
    ]
    if reasons:
        return f"{len(reasons)} suspended: {reasons[0]}"
    if node.get("draining_at"):
        return "draining"
    versions = node.get("versions")
    sandbox = str(versions.get("sandbox", "")) if isinstance(versions, dict) else ""
    return "ok, sandbox incomplete" if "; without " in sandbox else "ok"


def _capacity(node: dict[str, object]) -> tuple[str, str]:
    workers = node.get("workers")
    running = [
        worker
        for worker in (workers if isinstance(workers, list) else [])
        if not worker.get("stopped_at")
    ]
    return str(len(running)), str(sum(worker["slots"] for worker in running))
