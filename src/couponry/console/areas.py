"""The modules of pages, each with its routes."""

from collections.abc import Mapping
from typing import Final, Protocol

from couponry.console import account, approvals, audit_log, figures, home, jobs, people, sign_in
from couponry.console.campaigns import routing
from couponry.console.care import acting, coupons, customers, explaining, finding, goodwill
from couponry.console.gate import Resource
from couponry.console.operations import credentials, letters, messages, places, settings, webhooks
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.series import bulk, listing, one, rows, trial, uploads


class Area(Protocol):
    """A module of pages."""

    def routes(self, parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
        """Its Falcon resources by path below the console."""


AREAS: Final[tuple[Area, ...]] = (
    sign_in,
    home,
    figures,
    account,
    approvals,
    people,
    audit_log,
    routing,
    listing,
    one,
    rows,
    uploads,
    bulk,
    trial,
    jobs,
    finding,
    customers,
    coupons,
    acting,
    goodwill,
    explaining,
    places,
    credentials,
    settings,
    letters,
    webhooks,
    messages,
)
