"""`/admin/v1/campaigns`: groups of series that pause and end together."""

from collections.abc import Callable
from functools import partial
from typing import Final, Literal, cast, get_args
from zoneinfo import ZoneInfo

import falcon.asgi
import msgspec
from msgspec import UNSET, Struct, UnsetType

from couponry.api import times
from couponry.api.admin.paging import PARAMETERS, Listed, Page, listed, page_of
from couponry.api.admin.queries import bad, text
from couponry.api.call import Call, Reply
from couponry.api.envelopes import ProblemDetails, admin_failure, problem
from couponry.api.operation import Operation, Parameter
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v2.replies import answered
from couponry.api.v2.requests import Id, coupon_id_of, id_of, is_json
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store import campaigns
from couponry.store.campaigns import Campaign, Draft, State
from couponry.store.engine import WriteTransaction

PATH: Final = "/admin/v1/campaigns"
ONE: Final = f"{PATH}/{{campaign_id}}"
STATES: Final = get_args(State)
MOVES: Final[dict[str, State]] = {"pause": "PAUSED", "resume": "ACTIVE", "end": "ENDED"}
_HTTP_STATUS: Final[dict[int | str, int]] = {"unknown": 404, "conflict": 409, "ended": 409}

Work = Callable[[WriteTransaction], Campaign | Problem]


class CampaignBody(Struct, rename="camel"):
    """What to set of a campaign; what is left out stays. Instants are ISO-8601, null for none; `seriesIds` replaces the list."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    starts_at: str | UnsetType | None = UNSET
    ends_at: str | UnsetType | None = UNSET
    series_ids: list[Id] | UnsetType | None = UNSET


class CampaignShown(Struct, frozen=True, rename="camel"):
    """A campaign. `state` is ENDED, too, once `endsAt` has passed."""

    id: int
    name: str
    description: str
    starts_at: str | None
    ends_at: str | None
    state: Literal["ACTIVE", "PAUSED", "ENDED"]
    created_at: str
    series_ids: list[int]


_ID: Final = Parameter("campaign_id", "path", "the campaign's id")
_REFUSALS: Final = ((404, "no such campaign"), (409, "the campaign has ended, or a series belongs to another one"))
_UNREADABLE: Final = (Code.INVALID_INPUT,)
OPERATIONS: Final = (
    Operation(
        PATH,
        "post",
        "Create a campaign",
        CampaignShown,
        ProblemDetails,
        CampaignBody,
        refusal_status=400,
        codes=_UNREADABLE,
        refusals=_REFUSALS[1:],
    ),
    Operation(
        PATH,
        "get",
        "Campaigns, newest first",
        Listed[CampaignShown],
        ProblemDetails,
        parameters=(Parameter("state", "query", "those in this state alone", STATES), *PARAMETERS),
        refusal_status=400,
        codes=_UNREADABLE,
    ),
    Operation(ONE, "get", "A campaign", CampaignShown, ProblemDetails, None, (_ID,), refusal_status=400, refusals=_REFUSALS[:1]),
    Operation(
        ONE,
        "patch",
        "Change a campaign",
        CampaignShown,
        ProblemDetails,
        CampaignBody,
        (_ID,),
        refusal_status=400,
        codes=_UNREADABLE,
        refusals=_REFUSALS,
    ),
    *(
        Operation(
            f"{ONE}/{move}",
            "post",
            f"{move.title()} a campaign",
            CampaignShown,
            ProblemDetails,
            None,
            (_ID,),
            refusal_status=400,
            refusals=_REFUSALS,
        )
        for move in MOVES
    ),
)
_DECODE: Final = msgspec.json.Decoder(CampaignBody).decode


def routes(parts: Parts) -> dict[str, object]:
    """All campaigns, one of them, and its moves."""
    moves = {f"{ONE}/{move}": Move(parts, state) for move, state in MOVES.items()}
    return {PATH: Campaigns(parts), ONE: OneCampaign(parts), **moves}


class Campaigns:
    """Create and list."""

    def __init__(self, parts: Parts) -> None:
        self._office, self._clock = parts.back_office, parts.clock

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Create."""
        org, draft = org_of(req), await _draft(req)
        if isinstance(org, Code) or not isinstance(draft, Draft):
            _refused(org if isinstance(org, Code) else draft).write(resp)
            return
        now_ms = self._clock()
        made = await self._office.write(partial(campaigns.create_campaign, org_id=org.id, draft=draft, now_ms=now_ms))
        _shown(made, org, now_ms).write(resp)

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """List."""
        org, page, state = org_of(req), page_of(req), text(req, "state").upper()
        if isinstance(page, Page) and state and state not in STATES:
            page = bad(f"state is one of {', '.join(STATES)}")
        if isinstance(org, Code) or not isinstance(page, Page):
            _refused(org if isinstance(org, Code) else page).write(resp)
            return
        now_ms, wanted = self._clock(), cast("State | None", state or None)
        found = await self._office.read(
            lambda tx: campaigns.list_campaigns(
                tx, org.id, state=wanted, before_id=page.before_id, limit=page.limit + 1, now_ms=now_ms
            )
        )
        if isinstance(found, Code):
            admin_failure(found).write(resp)
            return
        shown = partial(_campaign, zone=org.zone, now_ms=now_ms)
        answered(listed(page, found, lambda one: one.id, shown)).write(resp)


class OneCampaign:
    """Read and change."""

    def __init__(self, parts: Parts) -> None:
        self._office, self._clock = parts.back_office, parts.clock

    async def on_get(self, req: Call, resp: falcon.asgi.Response, campaign_id: str) -> None:
        """Read."""
        org, number = org_of(req), _number(campaign_id)
        if isinstance(org, Code) or isinstance(number, Code):
            _refused(org if isinstance(org, Code) else number).write(resp)
            return
        read = partial(campaigns.read_campaign, org_id=org.id, campaign_id=number)
        _shown(await self._office.read(read), org, self._clock()).write(resp)

    async def on_patch(self, req: Call, resp: falcon.asgi.Response, campaign_id: str) -> None:
        """Change what is sent."""
        org, number = org_of(req), _number(campaign_id)
        draft = number if isinstance(number, Code) else await _draft(req)
        if isinstance(org, Code) or isinstance(number, Code) or not isinstance(draft, Draft):
            _refused(org if isinstance(org, Code) else draft).write(resp)
            return
        now_ms = self._clock()
        change = partial(campaigns.change_campaign, org_id=org.id, campaign_id=number, draft=draft, now_ms=now_ms)
        _shown(await self._office.write(change), org, now_ms).write(resp)


class Move:
    """Pause, resume or end."""

    def __init__(self, parts: Parts, state: State) -> None:
        self._office, self._clock, self._state = parts.back_office, parts.clock, state

    async def on_post(self, req: Call, resp: falcon.asgi.Response, campaign_id: str) -> None:
        """Move to the state."""
        org, number = org_of(req), _number(campaign_id)
        if isinstance(org, Code) or isinstance(number, Code):
            _refused(org if isinstance(org, Code) else number).write(resp)
            return
        now_ms = self._clock()
        move = partial(campaigns.move_campaign, org_id=org.id, campaign_id=number, state=self._state, now_ms=now_ms)
        _shown(await self._office.write(move), org, now_ms).write(resp)


def _number(campaign_id: str) -> int | Code:
    """The id in the path; 400 for what is no number, as of other admin ids."""
    found = coupon_id_of(campaign_id)
    return found if isinstance(found, int) else Code.MALFORMED


async def _draft(call: Call) -> Draft | Problem | Code:
    """What the body asks for: 400 for what is no JSON, a problem for what means nothing."""
    raw = await call.body()
    if isinstance(raw, Code):
        return raw
    try:
        body = _DECODE(raw)
    except msgspec.ValidationError as error:
        return bad(str(error)) if is_json(raw) else Code.MALFORMED
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Code.MALFORMED
    org = org_of(call)
    if isinstance(org, Code):
        return org
    starts_ms, ends_ms = _instant(body.starts_at, org.zone), _instant(body.ends_at, org.zone)
    if isinstance(starts_ms, Problem) or isinstance(ends_ms, Problem):
        return bad("startsAt and endsAt are instants in ISO-8601")
    series_ids = body.series_ids if body.series_ids is UNSET else [id_of(one) or 0 for one in body.series_ids or ()]
    return Draft(body.name, "" if body.description is None else body.description, starts_ms, ends_ms, series_ids)


def _instant(sent: str | UnsetType | None, zone: ZoneInfo) -> int | UnsetType | Problem | None:
    if not isinstance(sent, str):
        return sent
    at_ms = times.instant_ms(sent, zone)
    return bad("no instant") if at_ms is None else at_ms


def _refused(why: Problem | Code | object) -> Reply:
    if isinstance(why, Code):
        return admin_failure(why)
    assert isinstance(why, Problem), "what is neither is no refusal"
    return problem(why, _HTTP_STATUS.get(why.code, 400))


def _shown(found: Campaign | Problem | Code, org: Org, now_ms: int) -> Reply:
    return answered(_campaign(found, org.zone, now_ms)) if isinstance(found, Campaign) else _refused(found)


def _campaign(one: Campaign, zone: ZoneInfo, now_ms: int) -> CampaignShown:
    return CampaignShown(
        id=one.id,
        name=one.name,
        description=one.description,
        starts_at=None if one.starts_ms is None else times.shown(one.starts_ms, zone),
        ends_at=None if one.ends_ms is None else times.shown(one.ends_ms, zone),
        state=one.state_at(now_ms),
        created_at=times.shown(one.created_ms, zone),
        series_ids=list(one.series_ids),
    )
