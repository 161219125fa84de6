"""`GET /v1.1/organization/get` and `/entities` (supporting APIs 3-4): what a till reads about where it stands."""

from collections.abc import Callable
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import falcon.asgi
from msgspec import Struct

from couponry.api.call import Call, Reply
from couponry.api.operation import Operation
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v1_1 import shown, statuses
from couponry.api.v1_1.tree import Entries, Node
from couponry.api.v2 import claims, requests
from couponry.core.expiry import local_time
from couponry.core.limits import PAGE_ITEMS_MAX
from couponry.core.model import Org
from couponry.core.status import Code
from couponry.store.back_office import BackOffice
from couponry.store.engine import ReadTransaction
from couponry.store.entities import TABLES, Entity, EntityListing, list_entities, org_name

OPERATIONS: Final[tuple[Operation, ...]] = ()
_WITHOUT_ANY: Final = "STR_SERVER"


class Asked(Struct, frozen=True):
    """Which entities of an org; no listing for a kind that this service has none of."""

    org: Org
    kind: str
    limit: int
    listing: EntityListing | None


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {
        "/v1.1/organization/get": Organization(parts.back_office, parts.clock),
        "/v1.1/organization/entities": Entities(parts.back_office, parts.clock),
    }


class Organization:
    """The credential's org."""

    def __init__(self, office: BackOffice, clock: Callable[[], int]) -> None:
        self._office = office
        self._clock = clock

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Read."""
        (await self._reply(req)).write(resp)

    async def _reply(self, call: Call) -> Reply:
        org = org_of(call)
        if isinstance(org, Code):
            return call.wire.failure(org)
        name = await self._office.read(partial(org_name, org_id=org.id))
        if isinstance(name, Code):
            return call.wire.failure(name)
        shown_org: Node = {
            "id": str(org.id),
            "name": name,
            "currency": org.currency,
            "timezone": org.zone.key,
            "timezone_offset": f"UTC{_offset(org.zone, self._clock())}",
            "min_sms_hour": str(org.settings.min_sms_hour),
            "max_sms_hour": str(org.settings.max_sms_hour),
            "country": "",
            "country_code": org.country_code,
        }
        return call.wire.reply({"organization": shown_org}, Code.SUCCESS)


class Entities:
    """Stores, tills, zones or concepts of the credential's org."""

    def __init__(self, office: BackOffice, clock: Callable[[], int]) -> None:
        self._office = office
        self._clock = clock

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Read."""
        (await self._reply(req)).write(resp)

    async def _reply(self, call: Call) -> Reply:
        asked = _asked(call)
        if isinstance(asked, Code):
            return call.wire.failure(asked)
        told = await self._office.read(partial(_found, asked))
        if isinstance(told, Code):
            return call.wire.failure(told)
        missing: Node = {"type": asked.kind, "item_status": statuses.item_status(Code.ENTITIES_NOT_FOUND)}
        entities = [_shown(one, asked, self._clock()) for one in told] or [missing]
        pagination: Node = {"limit": str(asked.limit), "offset": "0", "total": str(len(told))}
        listed: Node = {"entities": {"entity": Entries(entities, is_always_list=True)}}
        return call.wire.reply({"pagination": pagination, "organization": listed}, statuses.overall([bool(told)]))


def _found(asked: Asked, tx: ReadTransaction) -> list[Entity]:
    return list_entities(tx, asked.org.id, asked.listing) if asked.listing else []


def _asked(call: Call) -> Asked | Code:
    """795, then 400 for a kind that is none, and for what no filter can be."""
    org = org_of(call)
    if isinstance(org, Code):
        return org
    kind, by = shown.word(call, "type").upper() or "STORE", shown.word(call, "parent_identifier_type")
    limit = shown.number(call, "limit", PAGE_ITEMS_MAX, 1, PAGE_ITEMS_MAX)
    parent = (claims.one(call, "parent_identifier_value") or "").strip()
    if (kind not in TABLES and kind != _WITHOUT_ANY) or by not in {"", "id", "code"} or limit is None or "\0" in parent:
        return Code.MALFORMED
    if kind == _WITHOUT_ANY:
        return Asked(org, kind, limit, None)
    listing = EntityListing(
        kind=kind,
        limit=limit,
        first_id=requests.id_of(claims.one(call, "start_id")) or 0,
        id=requests.id_of(claims.one(call, "id")),
        parent_id=requests.id_of(parent) if by != "code" else None,
        parent_code=parent if by == "code" else None,
        is_active_only=shown.flag(call, "active_only"),
    )
    return Asked(org, kind, limit, listing)


def _shown(entity: Entity, asked: Asked, now_ms: int) -> Node:
    zone = _zone(entity.time_zone) or asked.org.zone
    first, second, third = entity.external_ids
    parent: Node = {"id": str(entity.parent[1]), "type": entity.parent[0]} if entity.parent else None
    return {
        "id": str(entity.id),
        "is_active": str(int(entity.is_active)),
        "code": entity.code,
        "name": entity.name,
        "description": "",
        "external_id": first,
        "external_id_1": second,
        "external_id_2": third,
        "type": asked.kind,
        "timezones": {"base_timezone": {"label": zone.key, "offset": _offset(zone, now_ms)}},
        "parent": parent,
        "item_status": statuses.item_status(Code.ENTITIES_FOUND),
    }


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, ZoneInfoNotFoundError, OSError):
        return None


def _offset(zone: ZoneInfo, now_ms: int) -> str:
    """`+05:30`."""
    return local_time(now_ms // 1000, zone).isoformat()[-len("+05:30") :]
