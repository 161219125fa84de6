"""`POST /admin/v1/series/{series_id}/what-if`: how many redemptions of the last days other terms would have refused, and why.

Recorded amount, time, customer and till are what the guards read; zones, concepts, audience and customers are as they are now; a
campaign's pause is left out. Validation, the pre-redeem hook and the demand for a transaction number are not asked again.
"""

from functools import partial
from typing import Any, Final

import falcon.asgi
import msgspec
from msgspec import Struct

from couponry.api import times
from couponry.api.admin.queries import bad, is_number
from couponry.api.call import Call, Reply
from couponry.api.envelopes import ProblemDetails, admin_failure, problem
from couponry.api.operation import Operation, Parameter
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v2.requests import decoded
from couponry.core.limits import REPLAYED_REDEMPTIONS_MAX, WHAT_IF_DAYS_MAX, WHAT_IF_EXAMPLES_MAX
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store import replay
from couponry.store.engine import ReadTransaction

PATH: Final = "/admin/v1/series/{series_id}/what-if"
_UNKNOWN_SERIES: Final = 755
_NOT_FOUND: Final = 404


class WhatIfBody(Struct):
    """`terms` are fields of a series as an update takes them; without any, each redemption is judged by its own terms."""

    terms: dict[str, Any] = {}
    days: int = 30


class WhatIf(Struct, frozen=True, rename="camel"):
    """How many of the redemptions would have been refused, by code, with the ids of the first few.

    `notReplayed` are those with a guard that what was recorded cannot decide. `isCut` when there were more redemptions after
    `until` than are replayed at once.
    """

    redemptions: int
    refused: int
    by_code: dict[str, int]
    examples: dict[str, list[int]]
    not_replayed: int
    since: str
    until: str
    is_cut: bool


_SUPPOSED_BADLY: Final = (
    Code.INVALID_INPUT,
    Code.FIELD_MISSING,
    Code.SERIES_CODE_EMPTY,
    Code.SHARED_CODE_EMPTY,
    Code.INVALID_EXCLUSIONS,
    Code.INVALID_SERIES_FIELD,
)
OPERATIONS: Final = (
    Operation(
        PATH,
        "post",
        f"How many redemptions of the last 1-{WHAT_IF_DAYS_MAX} days other terms would have refused: the first "
        f"{REPLAYED_REDEMPTIONS_MAX} of them, with {WHAT_IF_EXAMPLES_MAX} examples for each code",
        WhatIf,
        ProblemDetails,
        WhatIfBody,
        (Parameter("series_id", "path", "id of the series"),),
        codes=(*_SUPPOSED_BADLY, Code.SERIES_UNREADABLE),
        refusal_status=400,
        refusals=((_NOT_FOUND, f"{_UNKNOWN_SERIES} {Code.INVALID_SERIES_ID.message}"),),
    ),
)
_DECODE: Final = msgspec.json.Decoder(WhatIfBody).decode


def routes(parts: Parts) -> dict[str, object]:
    """The resource of this module."""
    return {PATH: Replays(parts)}


class Replays:
    """Replays redemptions under other terms; changes nothing."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def on_post(self, req: Call, resp: falcon.asgi.Response, series_id: str) -> None:
        """Read, replay and count."""
        org = org_of(req)
        supposed = org if isinstance(org, Code) else await self._supposed(req, org, series_id)
        if not isinstance(supposed, replay.Supposed):
            _refused(supposed).write(resp)
            return
        found = await self._parts.back_office.read(partial(_replayed, supposed))
        if not isinstance(found, replay.Replayed):
            _refused(found).write(resp)
            return
        Reply(200, msgspec.json.encode(_told(found, supposed.org))).write(resp)

    async def _supposed(self, call: Call, org: Org, series_id: str) -> replay.Supposed | Problem | Code:
        raw = await call.body()
        body = raw if isinstance(raw, Code) else decoded(raw, _DECODE)
        if isinstance(body, Code):
            return body
        if not is_number(series_id):
            return Code.MALFORMED
        if not 0 < body.days <= WHAT_IF_DAYS_MAX:
            return bad(f"days must be from 1 to {WHAT_IF_DAYS_MAX}")
        return replay.Supposed(org, int(series_id), body.terms, body.days, self._parts.clock())


def _replayed(supposed: replay.Supposed, tx: ReadTransaction) -> replay.Replayed | Problem | Code:
    return replay.replayed(tx, supposed)


def _refused(why: Problem | Code) -> Reply:
    if isinstance(why, Code):
        return admin_failure(why)
    return problem(why, _NOT_FOUND if why.code == _UNKNOWN_SERIES else 400)


def _told(found: replay.Replayed, org: Org) -> WhatIf:
    done = found.replay
    by_code: dict[str, int] = {}
    examples: dict[str, list[int]] = {}
    for code, count in done.refused.most_common():
        number = str(code.number)
        by_code[number] = by_code.get(number, 0) + count
        examples[number] = [*examples.get(number, []), *done.examples[code]][:WHAT_IF_EXAMPLES_MAX]
    return WhatIf(
        redemptions=done.redemptions,
        refused=done.refused.total(),
        by_code=by_code,
        examples=examples,
        not_replayed=done.not_replayed,
        since=times.shown(found.starts_ms, org.zone),
        until=times.shown(found.ends_ms, org.zone),
        is_cut=found.is_cut,
    )
