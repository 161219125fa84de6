"""For which till a request is: the attribution headers (README 2.3)."""

import asyncio
from collections.abc import Callable
from typing import Final, get_args

from couponry.api.call import Call
from couponry.api.principals import Principal
from couponry.api.recall import Recall
from couponry.core.limits import IDENTIFIER_CHARS_MAX, PRINCIPAL_CACHE_MAX
from couponry.core.status import Code
from couponry.store.directory import Directory, EntityType, Till

_LOOKUP_TYPES: Final = frozenset({"WECHAT", "MOBILE_TRIGGER"})
_ENTITY_TYPES: Final[dict[str, EntityType]] = {kind: kind for kind in get_args(EntityType)}


class Attribution:
    """Finds attribution tills and remembers them as principals are remembered."""

    def __init__(self, directory: Directory, clock: Callable[[], int]) -> None:
        self._directory = directory
        self._tills: Recall[Till] = Recall(clock, PRINCIPAL_CACHE_MAX)

    async def till_of(self, call: Call) -> Till | Code:
        """The looked-up till, else the entity of an OAuth request, else the principal's own."""
        principal = call.principal
        kind, value = call.header(b"x-cap-api-attribution-lookup-type"), call.header(b"x-cap-api-attribution-lookup")
        if value and not kind:
            return Code.LOOKUP_TYPE_MISSING
        if kind and kind not in _LOOKUP_TYPES:
            return Code.MALFORMED
        if not value:
            kind, value = self._entity(call) if principal.identity.kind == "client" else ("", "")
        own = principal.identity.till
        if not value:
            return own if own and own.is_active else Code.UNKNOWN_ATTRIBUTION
        found = await self._find(principal, kind, value)
        if found is Code.UNKNOWN_ATTRIBUTION and principal.identity.falls_back_to_till and own and own.is_active:
            return own
        return found

    @staticmethod
    def _entity(call: Call) -> tuple[str, str]:
        """The entity pair, else the legacy till header; an unknown type means a till."""
        code = call.header(b"x-cap-api-attribution-entity-code")
        if code:
            return _ENTITY_TYPES.get(call.header(b"x-cap-api-attribution-entity-type"), "TILL"), code
        return "TILL", call.header(b"x-cap-api-attribution-till-code")

    async def _find(self, principal: Principal, kind: str, value: str) -> Till | Code:
        org_id = principal.org_id
        if len(value) > IDENTIFIER_CHARS_MAX or "\0" in value:
            return Code.UNKNOWN_ATTRIBUTION

        async def look(_before: Till | None) -> Till | Code:
            entity = _ENTITY_TYPES.get(kind)
            if entity:
                found = await asyncio.to_thread(self._directory.till_of, org_id, entity, value)
            else:
                found = await asyncio.to_thread(self._directory.till_behind, org_id, kind, value)
            return found or Code.UNKNOWN_ATTRIBUTION

        return await self._tills.ask((org_id, kind, value), look)
