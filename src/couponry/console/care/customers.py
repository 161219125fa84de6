"""A customer: who they are, what stands in their way, and one list at a time of what they have and did."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import falcon.asgi
from msgspec import Struct

from couponry.console.care.lookups import Lookups
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core import care, timeline
from couponry.core.advice import advice
from couponry.core.limits import CONSOLE_PAGE_ROWS, IDENTIFIERS_SHOWN_MS
from couponry.core.model import Customer
from couponry.core.roles import Permission
from couponry.core.searching import masked
from couponry.core.status import Code
from couponry.store import audit, refusals
from couponry.store import care as store
from couponry.store.audit import Entry
from couponry.store.care import Listed
from couponry.store.customers import CustomerRecord, any_customer
from couponry.store.engine import ReadTransaction

LISTS: Final = {
    "coupons": "Coupons",
    "redemptions": "Redemptions",
    "refusals": "Refusals",
    "messages": "Messages",
    "limits": "Limits used",
    "actions": "Done here",
}
STATES: Final = {"": "All", "live": "Live", "used": "Used", "expired": "Expired", "revoked": "Revoked"}
_SHOWN: Final = "show identifiers"
_KINDS: Final = {
    "mobile": ("Mobile", "mobile"),
    "email": ("E-mail", "email"),
    "externalId": ("External id", "external_id"),
    "cardnumber": ("Card", "card_number"),
    "cardExternalId": ("Card's external id", "card_external_id"),
}


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The page, and the button that shows identifiers."""
    return {"/care/customers/{customer_id}": One(parts, pages), "/care/customers/{customer_id}/show": Show(parts, pages)}


class View(Struct, frozen=True):
    """A customer with the list that was asked for, and what people did about them here."""

    record: CustomerRecord
    entries: list[Entry]
    listed: Listed


class One:
    """One customer. Those of other orgs, and ids that are nobody's, are not there."""

    NEEDS, NEEDS_TO_POST = Permission.SEE_CUSTOMERS, Permission.CARE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages
        self._lookups = Lookups(parts, pages)

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, customer_id: str) -> None:
        """Everything about them, one list at a time."""
        wanted = number_of(customer_id)
        if wanted is None:
            self._pages.missing(visit, resp, "customer")
            return
        if not await self._lookups.is_let(visit, resp, ("customer", wanted)):
            return
        found = await self._parts.back_office.read(partial(_view, visit, wanted))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
        elif found is None:
            self._pages.missing(visit, resp, "customer")
        else:
            self._pages.show(visit, resp, "care/customer.html", **_shown(visit, found))


class Show:
    """Identifiers in full, for a while, for whoever asked; the audit log says so."""

    NEEDS = NEEDS_TO_POST = Permission.CARE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages
        self._lookups = Lookups(parts, pages)

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, customer_id: str) -> None:
        """Note it, and go back."""
        wanted = number_of(customer_id)
        if wanted is None:
            self._pages.missing(visit, resp, "customer")
            return
        found = await self._parts.back_office.read(lambda tx: any_customer(tx, visit.org_id, "id", str(wanted)))
        if found is Code.NO_SUCH_CUSTOMER:
            self._pages.missing(visit, resp, "customer")
        elif isinstance(found, Code):
            self._pages.failed(visit, resp, found)
        elif await self._lookups.is_let(visit, resp, ("customer", wanted), action=_SHOWN):
            self._pages.go(
                visit, resp, f"/care/customers/{wanted}", "Identifiers are shown for 10 minutes. The audit log says so."
            )


def identifiers(customer: Customer, *, is_shown: bool) -> list[tuple[str, str]]:
    """What a customer is known by, masked until somebody asked."""
    known = ((label, kind, getattr(customer, name)) for kind, (label, name) in _KINDS.items())
    return [(label, value if is_shown else masked(kind, value)) for label, kind, value in known if value]


def _view(visit: Visit, customer_id: int, tx: ReadTransaction) -> View | None:
    record = any_customer(tx, visit.org_id, "id", str(customer_id))
    if isinstance(record, Code):
        return None
    entries = audit.entries(tx, visit.org_id, limit=CONSOLE_PAGE_ROWS, subject=("customer", str(customer_id)))
    return View(record, entries, _list(visit, customer_id, tx))


def _list(visit: Visit, customer_id: int, tx: ReadTransaction) -> Listed:
    """The one list that is shown. Refusals are looked for among the org's newest, as they have no index by customer."""
    org_id, before_id = visit.org_id, visit.number("before")
    match _which(visit):
        case "redemptions":
            return store.uses_of(tx, org_id, customer_id, before_id=before_id)
        case "refusals":
            who = (("id", str(customer_id)),)
            page = refusals.page(tx, refusals.Wanted(org_id, "", who, "", before_id, CONSOLE_PAGE_ROWS))
            return Listed(page.refusals, page.next_id)
        case "messages":
            return store.messages_of(tx, org_id, customer_id, before_id=before_id)
        case "limits":
            return store.shares_of(tx, org_id, customer_id, visit.now_ms, before_id=before_id)
        case "actions":
            return Listed([], None)
        case _:
            state = visit.query("state") if visit.query("state") in STATES else ""
            return store.coupons_of(tx, org_id, customer_id, visit.now_ms, state=state, before_id=before_id)


def _which(visit: Visit) -> str:
    return visit.query("list") if visit.query("list") in LISTS else "coupons"


def _shown(visit: Visit, view: View) -> dict[str, Any]:
    customer, org = view.record.customer, visit.session.org
    who, since_ms = visit.session.person.email, visit.now_ms - IDENTIFIERS_SHOWN_MS
    is_shown = visit.may(Permission.CARE) and any(
        entry.action == _SHOWN and entry.actor == who and entry.done_ms > since_ms for entry in view.entries
    )
    rows = view.listed.rows
    if _which(visit) == "coupons":
        rows = sorted(rows, key=lambda row: row.coupon.issued_ms or 0, reverse=True)
    elif _which(visit) == "redemptions":
        rows = sorted(rows, key=lambda row: row.redeemed_ms, reverse=True)
    return {
        "it": customer,
        "record": view.record,
        "known": identifiers(customer, is_shown=is_shown),
        "is_shown": is_shown,
        "blocks": care.blocks(customer, org),
        "unreachable": care.unreachable(customer),
        "lists": LISTS,
        "states": STATES,
        "which": _which(visit),
        "state": visit.query("state"),
        "rows": rows,
        "next_id": view.listed.next_id,
        "entries": view.entries,
        "advice": advice,
        "timeline": timeline,
    }
