"""Campaigns in the making, kept step by step, so that back, reload and another day work."""

from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import Select, insert, select, update

from couponry.core.launching import CampaignDraft
from couponry.core.problem import Problem
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.engine import ReadTransaction, WriteTransaction

STALE: Final = "stale"
"""What a Problem has for a code when somebody else has changed the draft meanwhile."""


class Draft(Struct, frozen=True):
    """A draft, and who began it. `version` counts its changes; one that was launched or removed is not open."""

    org_id: int
    id: int
    owner_id: int
    owner_email: str
    version: int
    is_open: bool
    content: CampaignDraft
    created_ms: int
    updated_ms: int


def create_draft(tx: WriteTransaction, org_id: int, owner_id: int, content: CampaignDraft, now_ms: int) -> int:
    """A new draft's id."""
    draft_id = serials.reserve(tx, org_id, serials.DRAFT)
    row = {"id": draft_id, "owner_id": owner_id, "version": 1, "is_open": True, "content": encoded(content)}
    tx.connection.execute(insert(t.campaign_draft).values(org_id=org_id, **row, created_ms=now_ms, updated_ms=now_ms))
    return draft_id


def read_draft(tx: ReadTransaction, org_id: int, draft_id: int) -> Draft | None:
    """One draft."""
    found = _read(tx, _all(org_id).where(t.campaign_draft.c.id == draft_id))
    return found[0] if found else None


def open_drafts(tx: ReadTransaction, org_id: int, *, limit: int, before_id: int | None = None) -> list[Draft]:
    """Those not launched yet, newest first."""
    draft = t.campaign_draft.c
    wanted = _all(org_id).where(draft.is_open)
    if before_id is not None:
        wanted = wanted.where(draft.id < before_id)
    return _read(tx, wanted.order_by(draft.id.desc()).limit(limit))


def save_draft(tx: WriteTransaction, org_id: int, before: Draft, content: CampaignDraft, now_ms: int) -> Problem | None:
    """Keep what was filled in; STALE when the draft is not any more what it was when it was read."""
    draft = t.campaign_draft.c
    same = (draft.org_id == org_id, draft.id == before.id, draft.version == before.version, draft.is_open)
    values = {"content": encoded(content), "version": before.version + 1, "updated_ms": now_ms}
    if tx.connection.execute(update(t.campaign_draft).where(*same).values(values)).rowcount == 1:
        return None
    return Problem(STALE, "somebody else has changed this draft meanwhile")


def close_draft(tx: WriteTransaction, org_id: int, draft_id: int, now_ms: int, *, is_open: bool = False) -> None:
    """Take it from the open drafts, or put it back there."""
    draft = t.campaign_draft.c
    own = update(t.campaign_draft).where(draft.org_id == org_id, draft.id == draft_id)
    tx.connection.execute(own.values(is_open=is_open, version=draft.version + 1, updated_ms=now_ms))


def hold_draft(tx: WriteTransaction, org_id: int, draft_id: int) -> Draft | None:
    """The draft, while nobody else changes or launches it."""
    own = select(t.campaign_draft.c.id).where(t.campaign_draft.c.org_id == org_id, t.campaign_draft.c.id == draft_id)
    tx.rows(tx.dialect.locked(own, t.campaign_draft), {})
    return read_draft(tx, org_id, draft_id)


def encoded(content: CampaignDraft) -> str:
    """As the row keeps it."""
    return msgspec.json.encode(content, enc_hook=str).decode()


def decoded(content: str) -> CampaignDraft:
    """The same the other way round."""
    return msgspec.json.decode(content, type=CampaignDraft)


def _all(org_id: int) -> Select[Any]:
    draft, owner = t.campaign_draft.c, t.console_user.c
    columns = (draft.org_id, draft.id, draft.owner_id, owner.email, draft.version, draft.is_open, draft.content)
    owned = (owner.org_id == draft.org_id) & (owner.id == draft.owner_id)
    wanted = select(*columns, draft.created_ms, draft.updated_ms).join_from(t.campaign_draft, t.console_user, owned)
    return wanted.where(draft.org_id == org_id)


def _read(tx: ReadTransaction, wanted: Select[Any]) -> list[Draft]:
    found = []
    for row in tx.rows(wanted, {}):
        org_id, draft_id, owner_id, email, version, is_open, content, created_ms, updated_ms = row
        found.append(Draft(org_id, draft_id, owner_id, email, version, bool(is_open), decoded(content), created_ms, updated_ms))
    return found
