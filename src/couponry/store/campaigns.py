"""Campaigns: series that pause and end together. The ledger reads state and end beside each series, so a change counts at once.

A Problem means that nothing was written. Rows are locked campaign first, then series by id.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import BigInteger, ColumnElement, Select, insert, or_, select, update

from couponry.core.limits import CAMPAIGN_SERIES_MAX, CUSTOM_FIELD_CHARS_MAX, NAME_CHARS_MAX
from couponry.core.problem import Problem
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.statements import org_parameter

State = Literal["ACTIVE", "PAUSED", "ENDED"]


class Draft(Struct, frozen=True):
    """What is to be of a campaign; what is UNSET stays as it is. Instants are epoch milliseconds, None for none."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    starts_ms: int | UnsetType | None = UNSET
    ends_ms: int | UnsetType | None = UNSET
    series_ids: Sequence[int] | UnsetType = UNSET


class Campaign(Struct, frozen=True):
    """A campaign with its series. `state` is as it was set; `state_at` knows what time has done."""

    id: int
    name: str
    description: str
    starts_ms: int | None
    ends_ms: int | None
    state: State
    created_ms: int
    series_ids: Sequence[int] = ()

    def state_at(self, now_ms: int) -> State:
        """Ended, too, once its end has passed."""
        return "ENDED" if self.ends_ms is not None and self.ends_ms < now_ms else self.state


_COLUMNS: Final = tuple(t.campaign.c[name] for name in Campaign.__struct_fields__[:-1])


def read_campaign(tx: ReadTransaction, org_id: int, campaign_id: int) -> Campaign | Problem:
    """One campaign."""
    found = _read(tx, org_id, select(*_COLUMNS).where(t.campaign.c.org_id == org_id, t.campaign.c.id == campaign_id))
    return found[0] if found else _unknown(campaign_id)


def list_campaigns(
    tx: ReadTransaction, org_id: int, *, state: State | None, before_id: int | None, limit: int, now_ms: int
) -> list[Campaign]:
    """Campaigns newest first, two statements. People make campaigns, so an org has few, and looking through them costs little."""
    campaign = t.campaign.c
    wanted = select(*_COLUMNS).where(campaign.org_id == org_id)
    if before_id is not None:
        wanted = wanted.where(campaign.id < before_id)
    if state:
        wanted = wanted.where(_is(state, now_ms))
    return _read(tx, org_id, wanted.order_by(campaign.id.desc()).limit(limit))


def create_campaign(tx: WriteTransaction, org_id: int, draft: Draft, now_ms: int) -> Campaign | Problem:
    """A new campaign, active from now on."""
    made = Campaign(0, "", "", None, None, "ACTIVE", now_ms)
    changed = _changed(made, draft, now_ms)
    if isinstance(changed, Problem):
        return changed
    if refused := _series_problem(tx, org_id, 0, changed.series_ids):
        return refused
    campaign_id = serials.reserve(tx, org_id, serials.CAMPAIGN)
    row = _row(changed) | {"id": campaign_id, "state": "ACTIVE", "created_ms": now_ms}
    tx.connection.execute(insert(t.campaign).values(org_id=org_id, **row))
    _attach(tx, org_id, campaign_id, (), changed.series_ids)
    return msgspec.structs.replace(changed, id=campaign_id)


def change_campaign(tx: WriteTransaction, org_id: int, campaign_id: int, draft: Draft, now_ms: int) -> Campaign | Problem:
    """Change what the draft sets. One that was ended stays as it is; one whose end has passed may be given a later one."""
    before = _locked(tx, org_id, campaign_id)
    if isinstance(before, Problem):
        return before
    if before.state == "ENDED":
        return _ended()
    after = _changed(before, draft, now_ms)
    if isinstance(after, Problem):
        return after
    if refused := _series_problem(tx, org_id, campaign_id, after.series_ids):
        return refused
    tx.connection.execute(_update(org_id, campaign_id).values(_row(after)))
    _attach(tx, org_id, campaign_id, before.series_ids, after.series_ids)
    return after


def move_campaign(tx: WriteTransaction, org_id: int, campaign_id: int, state: State, now_ms: int) -> Campaign | Problem:
    """Pause, resume or end a campaign; to end is final."""
    before = _locked(tx, org_id, campaign_id)
    if isinstance(before, Problem):
        return before
    if state != "ENDED" and before.state_at(now_ms) == "ENDED":
        return _ended()
    tx.connection.execute(_update(org_id, campaign_id).values(state=state))
    return msgspec.structs.replace(before, state=state)


def _is(state: State, now_ms: int) -> ColumnElement[bool]:
    campaign = t.campaign.c
    is_over = campaign.ends_ms < now_ms
    if state == "ENDED":
        return or_(campaign.state == state, is_over)
    return (campaign.state == state) & or_(campaign.ends_ms.is_(None), campaign.ends_ms >= now_ms)


def _read(tx: ReadTransaction, org_id: int, wanted: Select[Any]) -> list[Campaign]:
    """Campaigns with their series."""
    found = [tuple(row) for row in tx.rows(wanted, {})]
    keys = tx.dialect.keys("campaigns", BigInteger())
    series = t.series.c
    members = select(series.campaign_id, series.id).select_from(keys.probing(t.series, "campaign_id", index="ix_series_campaign"))
    parameters = {org_parameter().key: org_id, **keys.bound([row[:1] for row in found])}
    of_campaign: dict[int, list[int]] = {row[0]: [] for row in found}
    for campaign_id, series_id in tx.rows(members.order_by(series.id), parameters) if found else ():
        of_campaign[campaign_id].append(series_id)
    return [msgspec.structs.replace(Campaign(*row), series_ids=of_campaign[row[0]]) for row in found]


def _locked(tx: WriteTransaction, org_id: int, campaign_id: int) -> Campaign | Problem:
    """The campaign as it is, while nobody else changes it."""
    row = select(t.campaign.c.id).where(t.campaign.c.org_id == org_id, t.campaign.c.id == campaign_id)
    tx.rows(tx.dialect.locked(row, t.campaign), {})
    return read_campaign(tx, org_id, campaign_id)


def _changed(before: Campaign, draft: Draft, now_ms: int) -> Campaign | Problem:
    """The campaign after a change, if it may be so."""
    sent = {name: value for name, value in msgspec.structs.asdict(draft).items() if value is not UNSET}
    if "series_ids" in sent:
        sent["series_ids"] = sorted(set(sent["series_ids"]))
    after = msgspec.structs.replace(before, **sent)
    after = msgspec.structs.replace(after, name=after.name.strip())
    if not after.name or len(after.name) > NAME_CHARS_MAX or len(after.description) > CUSTOM_FIELD_CHARS_MAX:
        limits = f"name needs 1-{NAME_CHARS_MAX} characters, description takes {CUSTOM_FIELD_CHARS_MAX}"
        return Problem("invalid", limits)
    if "\0" in after.name + after.description:
        return Problem("invalid", "name and description cannot hold NUL")
    if after.ends_ms is not None and after.starts_ms is not None and after.ends_ms <= after.starts_ms:
        return Problem("invalid", "endsAt must be after startsAt")
    if after.ends_ms is not None and after.ends_ms != before.ends_ms and after.ends_ms <= now_ms:
        return Problem("invalid", "endsAt is past; to end a campaign now, post to its /end")
    if len(after.series_ids) > CAMPAIGN_SERIES_MAX:
        return Problem("invalid", f"a campaign holds at most {CAMPAIGN_SERIES_MAX} series")
    return after


def _series_problem(tx: WriteTransaction, org_id: int, campaign_id: int, series_ids: Sequence[int]) -> Problem | None:
    """Whether one of these is no series, or another campaign's; locks them."""
    if not series_ids:
        return None
    keys = tx.dialect.keys("wanted", BigInteger())
    series = t.series.c
    found = select(series.id, series.campaign_id).select_from(keys.probing(t.series, "id")).order_by(series.id)
    parameters = {org_parameter().key: org_id, **keys.bound([(series_id,) for series_id in series_ids])}
    campaigns = {row.id: row.campaign_id for row in tx.rows(tx.dialect.locked(found, t.series), parameters)}
    for series_id in series_ids:
        if series_id not in campaigns:
            return Problem("invalid", f"there is no series {series_id}")
        if campaigns[series_id] not in (None, campaign_id):
            return Problem("conflict", f"series {series_id} belongs to campaign {campaigns[series_id]}")
    return None


def _attach(tx: WriteTransaction, org_id: int, campaign_id: int, before: Sequence[int], after: Sequence[int]) -> None:
    """Let go of the series that are no longer listed, unless they have moved on, and take those that are new."""
    series = t.series.c
    keys = tx.dialect.keys("moved", BigInteger())
    moved = update(t.series).where(series.org_id == org_id, series.id.in_(select(*keys.columns).select_from(keys.source)))
    if gone := sorted(set(before) - set(after)):
        leaving = moved.where(series.campaign_id == campaign_id).values(campaign_id=None)
        tx.connection.execute(leaving, keys.bound([(series_id,) for series_id in gone]))
    if new := sorted(set(after) - set(before)):
        tx.connection.execute(moved.values(campaign_id=campaign_id), keys.bound([(series_id,) for series_id in new]))


def _row(campaign: Campaign) -> dict[str, Any]:
    return {name: getattr(campaign, name) for name in ("name", "description", "starts_ms", "ends_ms")}


def _update(org_id: int, campaign_id: int) -> Any:  # noqa: ANN401 - an update without values
    return update(t.campaign).where(t.campaign.c.org_id == org_id, t.campaign.c.id == campaign_id)


def _unknown(campaign_id: int) -> Problem:
    return Problem("unknown", f"there is no campaign {campaign_id}")


def _ended() -> Problem:
    return Problem("ended", "the campaign has ended")
