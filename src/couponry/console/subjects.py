"""Where what somebody did or asked for has a page of its own."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from couponry.console.visit import Visit
from couponry.core.roles import Permission

P = Permission
PAGES: Final[Mapping[str, tuple[str, Permission]]] = {
    "approval": ("/approvals/", P.SEE_AUDIT),
    "campaign": ("/campaigns/", P.SEE_CAMPAIGNS),
    "coupon": ("/care/coupons/", P.SEE_CUSTOMERS),
    "draft": ("/campaigns/drafts/", P.SEE_CAMPAIGNS),
    "customer": ("/care/customers/", P.SEE_CUSTOMERS),
    "job": ("/jobs/", P.SEE_CAMPAIGNS),
    "series": ("/series/", P.SEE_CAMPAIGNS),
    "store": ("/stores/", P.SEE_OPERATIONS),
    "user": ("/people/", P.MANAGE_PEOPLE),
    "webhook": ("/webhooks/", P.SEE_OPERATIONS),
}
"""By kind of subject: the page's path before the id, and what it takes to see it."""


def path_of(visit: Visit, kind: str, subject_id: str) -> str:
    """The path of a subject's page below the console; empty when it has none, or none for this person."""
    path, needs = PAGES.get(kind, ("", P.BE_SIGNED_IN))
    return f"{path}{quote(subject_id, safe='')}" if path and visit.may(needs) else ""


def may_see(visit: Visit, path: str) -> bool:
    """Whether this person may see the page of a subject at this path; of other pages this knows nothing."""
    return all(visit.may(needs) for before, needs in PAGES.values() if path.startswith(before))
