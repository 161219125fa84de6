"""A bar on standard error that says how far a job has come, how fast it goes and how long it will take."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from couponry.core.jobs import Job


@contextmanager
def bar() -> Iterator[Callable[[Job], None]]:
    """Shows the job that it is called with; on a terminal only, and gone at the end."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}", markup=False))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None, said="")

        def show(job: Job) -> None:
            named = f"{job.kind} {job.id} {job.state}"
            progress.update(task, description=named, completed=job.done, total=job.total, said=said_of(job))

        yield show


def said_of(job: Job) -> str:
    """`1,200,000 of 2,000,000, 52,310/s, 0:00:16 left, 3 failed`, as far as that is known."""
    parts = [f"{job.done:,}" if job.total is None else f"{job.done:,} of {job.total:,}"]
    if job.worked_ms:
        parts.append(f"{job.rate_per_second:,.0f}/s")
    if job.eta_s is not None:
        parts.append(f"{timedelta(seconds=round(job.eta_s))} left")
    if job.failed:
        parts.append(f"{job.failed:,} failed")
    return ", ".join(parts)
