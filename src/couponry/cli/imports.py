"""Import CSV files with a progress bar on standard error."""

import secrets
import string
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from couponry.cli.answers import answer, now_ms, opened, or_refuse
from couponry.core.model import Org
from couponry.store import passwords, registry
from couponry.store.bulk import Kind, import_file
from couponry.store.bulk.coupons import Coupons
from couponry.store.bulk.customers import Customers
from couponry.store.bulk.redemptions import Redemptions
from couponry.store.bulk.series import SeriesRows
from couponry.store.bulk.stores import Stores, hashed_passwords

imports: Final = typer.Typer(
    help="Import CSV files; the header holds the names of the V2 API. The order: customers, stores, series, coupons, redemptions."
)

File = Annotated[Path, typer.Argument(metavar="FILE.csv", help="CSV in UTF-8, with a header.")]
OrgId = Annotated[int, typer.Option("--org", help="Id of the org.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")]
_SERIES_CODE_CHARS: Final = 10
_ALPHABET: Final = string.ascii_uppercase + string.digits


@imports.command()
def customers(file: File, org_id: OrgId, dry_run: DryRun = False) -> None:
    """firstName, lastName, mobile, email, externalId, registeredOn, loyaltyType, fraudStatus, statusLabel, transactionCount."""
    _run(file, org_id, Customers, dry_run=dry_run)


@imports.command()
def stores(file: File, org_id: OrgId, dry_run: DryRun = False) -> None:
    """storeCode, storeName, storeExternalId, zoneCode, conceptCode, tillCode, tillPassword, timezone, active.

    A row is a store or one of its tills; zones and concepts are made if missing. A till without a password cannot sign in. active
    (true or false) is about the row's till, about the store where a row has none.
    """
    hashes = {} if dry_run else hashed_passwords(file)
    nobodys_hash = passwords.hashed(secrets.token_urlsafe())
    _run(file, org_id, lambda org, *_: Stores(org, hashes, nobodys_hash), dry_run=dry_run)


@imports.command()
def series(file: File, org_id: OrgId, dry_run: DryRun = False) -> None:
    """The fields of CouponSeriesV2, nested values as JSON."""
    _run(file, org_id, lambda org, _, at_ms: SeriesRows(org, at_ms, _new_code), dry_run=dry_run)


@imports.command()
def coupons(file: File, org_id: OrgId, dry_run: DryRun = False) -> None:
    """seriesCode, code, customerExternalId or customerMobile, state, issuedOn, validTillDateTime."""
    _run(file, org_id, lambda org, _, at_ms: Coupons(org, at_ms), dry_run=dry_run)


@imports.command()
def redemptions(file: File, org_id: OrgId, dry_run: DryRun = False) -> None:
    """code, customerExternalId or customerMobile, redeemedOn, tillCode, billNumber, billAmount.

    Each uses up what its coupon, customer and series allow, and is refused where nothing is left. Nobody is told of it.
    """
    _run(file, org_id, lambda org, _, at_ms: Redemptions(org, at_ms), dry_run=dry_run)


def _run(file: Path, org_id: int, kind: Callable[[Org, frozenset[str], int], Kind], *, dry_run: bool) -> None:
    console = Console(stderr=True)
    with opened() as database:
        with database.reading() as tx:
            org, labels = or_refuse(registry.read_org(tx, org_id)), registry.status_labels(tx, org_id)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(file.name, total=file.stat().st_size)
            result = import_file(
                database,
                kind(org, labels, now_ms()),
                file,
                dry_run=dry_run,
                advance=lambda read: progress.update(task, completed=read),
                ignored=lambda names: console.print(f"ignored columns: {', '.join(names)}", markup=False, highlight=False),
            )
    answer(result)


def _new_code() -> str:
    """A series code for a series that comes without one."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_SERIES_CODE_CHARS))
