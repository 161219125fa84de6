"""Bulk issue: a coupon of a series with generated codes for each of millions of customers, then as many codes into a file."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from bench import jobs
from bench.data import Size
from bench.fill import add_customers
from bench.installation import installed
from couponry.core.audience import EVERYBODY
from couponry.core.job_requests import IssueRequest
from couponry.core.jobs import JobKind
from couponry.store.jobs import Draft

SIZE: Final = Size(1_000, 20, 1_000)


def measured(count: int, database: str, url: str, folder: Path) -> Iterator[jobs.Measured]:
    """With every limit and counter, as an issue over the API has them."""
    print(f"loading {count:,} customers on {database}", flush=True)
    installation = installed(url, folder, SIZE)
    couponry, org_id, series_id = installation.couponry, installation.org_id, installation.issue_series_id
    add_customers(couponry, org_id, count - SIZE.customers)
    couponry.settle()
    for what, request in (
        ("issue to everybody", IssueRequest(EVERYBODY, 1, send=False)),
        ("codes into a file", IssueRequest(None, count, send=False)),
    ):
        draft = Draft(kind=JobKind.ISSUE, series_id=series_id, request=request)
        one = jobs.measured(installation, database, what, draft, count)
        stored = couponry.coupons(org_id, series_id, are_issued=request.audience is not None)
        yield replace(one, complaint="" if stored == count else f"{stored:,} coupons are stored")
    if differences := couponry.differences():
        raise RuntimeError(differences)
