"""`GET /v2/orgEntity/tills/active` (supporting APIs 3)."""

from functools import partial
from typing import Final

import falcon.asgi
import msgspec
from msgspec import Struct

from couponry.api.call import Call, Reply
from couponry.api.envelopes import E, v2_failure
from couponry.api.operation import Operation, Parameter
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v2 import claims, requests
from couponry.core.limits import PAGE_ITEMS_MAX
from couponry.core.status import Code
from couponry.store.back_office import BackOffice
from couponry.store.entities import EntityListing, list_entities


class TillNamed(Struct, frozen=True, gc=False):
    """An active till."""

    id: int
    code: str


class TillsResponse(Struct, frozen=True):
    """The active tills that were asked for."""

    data: list[TillNamed]
    warnings: list[E] = []
    errors: list[E] = []


OPERATIONS: Final = (
    Operation(
        "/v2/orgEntity/tills/active",
        "get",
        "Active tills",
        TillsResponse,
        parameters=(Parameter("code", "query", "the till of this code"), Parameter("tillId", "query", "the till of this id")),
        codes=(Code.MALFORMED,),
    ),
)
_ENCODE: Final = msgspec.json.Encoder().encode


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {"/v2/orgEntity/tills/active": ActiveTills(parts.back_office)}


class ActiveTills:
    """Tills that may log in."""

    def __init__(self, office: BackOffice) -> None:
        self._office = office

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Read."""
        (await self._reply(req)).write(resp)

    async def _reply(self, call: Call) -> Reply:
        org, code = org_of(call), (claims.one(call, "code") or "").strip()
        if isinstance(org, Code) or "\0" in code:
            return v2_failure(org if isinstance(org, Code) else Code.MALFORMED)
        till_id = requests.id_of(claims.one(call, "tillId"))
        listing = EntityListing("TILL", PAGE_ITEMS_MAX, id=till_id, code=code or None, is_active_only=True)
        found = await self._office.read(partial(list_entities, org_id=org.id, asked=listing))
        if isinstance(found, Code):
            return v2_failure(found)
        return Reply(200, _ENCODE(TillsResponse([TillNamed(one.id, one.code) for one in found])))
