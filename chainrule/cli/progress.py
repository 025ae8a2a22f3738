"""Show a job as a live line in the terminal: a bar over its epochs, with loss and accuracy."""

import math
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from chainrule.cli import views
from chainrule.client import Client
from chainrule.client.jobs import Job
from chainrule.client.transport import Document
from chainrule.contract.status import JobKind, JobStatus

_SHOWN = ("train/loss", "valid/accuracy")


def follow(
    server: Client,
    job_id: str,
    *,
    visible: bool = True,
    console: Console = views.CONSOLE,
    timeout_seconds: float | None = None,
) -> Job:
    """Show a job until it ends, and return it. Raises DeadlineError after the timeout."""
    if not visible:
        return server.jobs.wait(job_id, timeout_seconds=timeout_seconds)
    waited_for = None
    with bar(console) as line:
        task = line.add_task("", total=None, state="queued", metrics="waiting for a worker")

        def show(now: Document) -> None:
            nonlocal waited_for
            line.update(task, **fields(now))
            # The line moves in a terminal only; a file or a CI log gets the reason to wait.
            if now.get("waits_for") != waited_for and not console.is_terminal:
                waited_for = now.get("waits_for")
                console.print(waiting(now), soft_wrap=True)

        job = server.jobs.wait(job_id, timeout_seconds=timeout_seconds, on_change=show)
    conclude(job, console)
    return job


def bar(console: Console) -> Progress:
    """Return the line of a job, which `fields` updates."""
    return Progress(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.fields[state]}"),
        BarColumn(bar_width=28),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[metrics]}"),
        TimeElapsedColumn(),
        console=console,
    )


def waiting(job: Document) -> str:
    """Return what a queued job waits for, in a sentence."""
    return f"waiting for {job.get('waits_for') or 'a free worker'}"


def fields(job: Document) -> dict[str, Any]:
    """Return the fields that the line of a job shows."""
    status = JobStatus(job["status"])
    training = job["kind"] == JobKind.TRAIN
    total = job.get("epochs_total" if training else "rows_total")
    done = job.get("epochs" if training else "rows") or 0
    if not status.terminal and not job.get("last_metrics"):
        metrics = waiting(job) if status is JobStatus.QUEUED else "reading the data"
    else:
        metrics = _metrics(job.get("last_metrics") or {})
    return {
        "completed": done if total else 0,
        "total": total,
        "description": views.passed(job),
        "state": views.status(job).markup,
        "metrics": metrics,
    }


def _metrics(values: Document) -> str:
    shown = [key for key in _SHOWN if key in values] or list(values)[:3]
    return "  ".join(f"{key} {_steady(values[key])}" for key in shown)


def _steady(value: Any) -> str:
    """Format a number with a constant width, so that the line does not move."""
    if not isinstance(value, int | float):
        return str(value)
    return f"{value:.4f}" if 1e-3 <= math.fabs(value) < 1000 or value == 0 else f"{value:.2e}"


def conclude(job: Document, console: Console) -> None:
    """Print how a job ended, and why."""
    console.print(views.status(job), views.metrics(job.get("last_metrics") or {}), soft_wrap=True)
    if best := views.best(job):
        console.print("best", best, soft_wrap=True)
    for warning in job.get("warnings") or ():
        console.print(f"[yellow]warning:[/] {escape(warning)}", soft_wrap=True)
    cause = views.cause(job.get("cause"))
    if cause:
        console.print(escape(cause), soft_wrap=True)
