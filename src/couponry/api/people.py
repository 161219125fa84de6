"""People's sessions at the admin API: what a role may ask for there. The console's own pages ask for no more."""

from collections.abc import Mapping
from typing import Final

from couponry.core.roles import Permission, Role, may

P = Permission
_AREAS: Final[Mapping[str, tuple[Permission, Permission]]] = {
    "campaigns": (P.SEE_CAMPAIGNS, P.MAKE_CAMPAIGNS),
    "series": (P.SEE_CAMPAIGNS, P.MAKE_CAMPAIGNS),
    "jobs": (P.SEE_OPERATIONS, P.OPERATE),
    "uploads": (P.SEE_OPERATIONS, P.OPERATE),
    "explain": (P.SEE_CUSTOMERS, P.CARE),
    "refusals": (P.SEE_CUSTOMERS, P.CARE),
    "redemptions": (P.SEE_CUSTOMERS, P.CARE),
    "customers": (P.SEE_CUSTOMERS, P.CARE),
    "coupons": (P.SEE_CUSTOMERS, P.CARE),
    "events": (P.SEE_OPERATIONS, P.OPERATE),
    "dead-letters": (P.SEE_OPERATIONS, P.OPERATE),
    "mailbox": (P.SEE_OPERATIONS, P.OPERATE),
}
"""By the first part of a path below the admin API: what it takes to read and to write there."""
_NEEDS_TWO: Final = "/admin/v1/jobs/issue"
ADMIN: Final = "/admin/v1/"


def is_allowed(role: Role, path: str, *, is_write: bool) -> bool:
    """Whether somebody of a role may ask that. To issue in bulk may take a second person, whom only the console knows."""
    needed = _AREAS.get(path.removeprefix(ADMIN).partition("/")[0]) if path.startswith(ADMIN) else None
    if needed is None or (is_write and path.startswith(_NEEDS_TWO)):
        return False
    return may(role, needed[is_write])
