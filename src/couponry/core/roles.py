"""What people may do in the console: each role a set of permissions, each page asks for one."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal, get_args

Role = Literal["admin", "marketer", "support", "auditor"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)


class Permission(StrEnum):
    """What a page or an action needs. Whoever may change something may see it."""

    SEE_FIGURES = "see figures"
    SEE_CAMPAIGNS = "see campaigns"
    MAKE_CAMPAIGNS = "make campaigns"
    SEE_CUSTOMERS = "see customers"
    CARE = "act for customers"
    SEE_OPERATIONS = "see operations"
    OPERATE = "change operations"
    MANAGE_PEOPLE = "manage people"
    SEE_AUDIT = "see the audit log"
    APPROVE = "approve"
    BE_SIGNED_IN = "be signed in"


P = Permission
_OF_EVERYBODY: Final = frozenset({P.BE_SIGNED_IN, P.SEE_FIGURES, P.SEE_CAMPAIGNS})
PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = {
    "admin": frozenset(Permission),
    "marketer": _OF_EVERYBODY | {P.MAKE_CAMPAIGNS, P.APPROVE},
    "support": _OF_EVERYBODY | {P.SEE_CUSTOMERS, P.CARE},
    "auditor": _OF_EVERYBODY | {P.SEE_CUSTOMERS, P.SEE_OPERATIONS, P.SEE_AUDIT},
}


def may(role: Role, permission: Permission) -> bool:
    """Whether people of a role may."""
    return permission in PERMISSIONS[role]
