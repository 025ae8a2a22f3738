"""Which machines take jobs, and which queues nobody serves."""

from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from chainrule.client.transport import Document


def state(node: Document) -> Text:
    """Return whether the live workers of a machine take jobs, or why not; are runners confined?"""
    workers = node.get("workers") or []
    if not node.get("alive"):
        return Text("no live worker", style="red")
    if node.get("draining_at"):
        return Text("draining", style="yellow")
    suspended = [worker for worker in workers if worker.get("suspended_at")]
    if suspended:
        reason = suspended[0].get("suspended_for") or "suspended"
        return Text(f"{len(suspended)} suspended: {reason}", style="yellow")
    draining = sum(1 for worker in workers if worker.get("draining_at"))
    if draining:
        return Text(f"{draining} of {len(workers)} draining", style="yellow")
    if "; without " in str((node.get("versions") or {}).get("sandbox", "")):
        return Text("ok, sandbox incomplete", style="yellow")
    return Text("ok", style="green")


def warnings(nodes: Sequence[Document]) -> Iterator[str]:
    """Yield a warning for each queue of live workers of which none takes jobs."""
    alive = [node for node in nodes if node.get("alive")]
    if nodes and not alive:
        yield "no worker is alive: jobs wait until one starts"
    served = {queue for node in alive for queue in node["queues"]}
    for queue in sorted(served - set(_taken(alive))):
        yield (
            f"no worker of queue {queue} takes jobs: all are draining or suspended. Jobs wait for "
            "another worker, or for `chainrule drain NODE --undo`"
        )


def _taken(nodes: Iterable[Document]) -> Iterator[str]:
    """The queues whose jobs a worker takes."""
    for node in nodes:
        if not node.get("draining_at"):
            for worker in node["workers"]:
                if not worker.get("draining_at") and not worker.get("suspended_at"):
                    yield from worker["queues"]
