"""In whose name a request acts: the org, the attribution till, and how its identifiers and codes are written."""

from zoneinfo import ZoneInfo

from msgspec import Struct

from couponry.api.attribution import Attribution
from couponry.api.call import Call
from couponry.core.model import Org
from couponry.core.status import Code
from couponry.store.directory import Till


class Seat(Struct, frozen=True, gc=False):
    """A usable org and the till that a write is recorded for (README 2.3)."""

    org: Org
    till: Till

    @property
    def zone(self) -> ZoneInfo:
        """The server zone, which instants are shown in."""
        return self.org.zone


class Seats:
    """Finds the seat of a request: 1061, 400, 91021, then 795 (status-codes 4)."""

    def __init__(self, attribution: Attribution) -> None:
        self._attribution = attribution

    async def of(self, call: Call) -> Seat | Code:
        """The attribution till in a usable org. Reads need no till: `org_of` is enough."""
        till = await self._attribution.till_of(call)
        if isinstance(till, Code):
            return till
        org = org_of(call)
        return org if isinstance(org, Code) else Seat(org, till)


def org_of(call: Call) -> Org | Code:
    """The credential's org, or 795."""
    return call.principal.org or Code.ORG_MISCONFIGURED
