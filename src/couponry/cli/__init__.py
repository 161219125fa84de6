"""The command line (design 4). A command that makes something prints one JSON object on standard output and exits 0.

Logs and progress go to standard error; so does a refusal, `{"error": {"code", "message"}}`, and the exit status is 1.
"""

import sys
from typing import Annotated

import typer

from couponry.cli import databases, imports, jobs, orgs
from couponry.cli.answers import Commands, Refused, answer, opened, read_settings
from couponry.core.problem import Problem

app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="A coupon engine."
)
app.add_typer(databases.db, name="db")
app.add_typer(orgs.org, name="org")
app.add_typer(orgs.till, name="till")
app.add_typer(orgs.client, name="client")
app.add_typer(orgs.user, name="user")
app.add_typer(imports.imports, name="import")
app.add_typer(jobs.jobs, name="jobs")
app.command()(databases.doctor)
app.command()(jobs.issue)
app.command()(jobs.export)
app.command()(jobs.revoke)
app.command()(jobs.expire)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: COUPONRY_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; default: COUPONRY_PORT.", min=1, max=65535)] = None,
    workers: Annotated[int | None, typer.Option(help="Server processes; default: COUPONRY_WORKERS.", min=1)] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Make a demo shop, and do without COUPONRY_SECRET_KEY.")] = False,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Leave background work to `couponry worker`.")] = False,
) -> None:
    """Answer requests and do background work until told to stop. Brings the database up to date first."""
    settings = read_settings()
    if settings.secret_key is None and not demo:
        raise Refused(Problem("secret_key", "COUPONRY_SECRET_KEY is not set; make one with: openssl rand -hex 32"))
    from couponry import main
    from couponry.api.server import AddressTaken

    host, port = host or settings.host, port or settings.port
    try:
        main.serve(settings, host=host, port=port, workers=workers or settings.workers, demo=demo, with_worker=not no_worker)
    except AddressTaken as error:
        raise Refused(Problem("address", f"somebody else listens at {host} port {port}")) from error


@app.command()
def worker(
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True, help="Stop when standard input ends.")] = False,
) -> None:
    """Do background work (jobs) until told to stop; any number of workers on PostgreSQL, one on SQLite."""
    settings = read_settings()
    if settings.secret_key is None:
        raise Refused(Problem("secret_key", "COUPONRY_SECRET_KEY is not set; it must be the server's"))
    with opened():
        pass
    from couponry import main
    from couponry.store.presence import OneIsThere
    from couponry.worker.process import ONE_IS_THERE

    try:
        main.work(settings, sys.stdin.fileno() if with_parent else None)
    except OneIsThere as error:
        if with_parent:
            raise typer.Exit(ONE_IS_THERE) from error
        raise Refused(Problem("worker", "this database has its worker already; SQLite needs no other")) from error


@app.command()
def settings() -> None:
    """List all settings with their meaning, default and value; secrets are masked."""
    answer(read_settings().listing())
