"""A file that lists customers: kept, looked at, and taken as the audience."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final, cast

import falcon.asgi
from msgspec.structs import replace

from couponry.console.campaigns.flow import StepPage, nothing, path_of
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core.audience import LIST_KINDS, Audience, ListKind
from couponry.core.limits import AUDIENCE_ROWS_LOOKED_UP, COLUMNS_MAX
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store import audit
from couponry.store.drafts import Draft, save_draft
from couponry.store.engine import WriteTransaction
from couponry.store.keeping import Keeper, Origin, kept
from couponry.store.listed_customers import Look, known_of, look_at
from couponry.store.receiving import Received, received
from couponry.store.uploads import Upload

_FIELDS: Final = ("identifier", "column", "version")
_STALE: Final = "Somebody changed this draft meanwhile; please upload the file again."


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """Where the form posts to."""
    return {"/campaigns/drafts/{draft}/audience/file": AudienceFile(parts, pages)}


class AudienceFile(StepPage):
    """One file."""

    STEP = "audience"

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """Keep it, and say how many customers it names."""
        found = await self.opened(visit, resp, draft, nothing)
        if not found:
            return
        async with received(visit, self._parts.folder, visit.org_id, _FIELDS) as sent:
            taken = await self._taken(visit, found[0], sent)
        if isinstance(taken, Code) and taken is not Code.BODY_TOO_LARGE:
            self._pages.failed(visit, resp, taken)
            return
        notice = "The file is too large; split it." if isinstance(taken, Code) else taken
        self._pages.go(visit, resp, path_of(found[0].id, "audience"), notice)

    async def _taken(self, visit: Visit, draft: Draft, sent: Received | Problem | Code) -> str | Code:
        if not isinstance(sent, Received):
            return f"{sent.message}: {sent.detail}." if isinstance(sent, Problem) else sent
        kind, column = sent.fields.get("identifier", ""), number_of(sent.fields.get("column", "1"))
        if kind not in LIST_KINDS or column is None or not 0 < column <= COLUMNS_MAX:
            return "Say by what the file names customers, and in which column."
        if sent.fields.get("version") not in {None, "", str(draft.version)}:
            return _STALE
        look = await asyncio.to_thread(look_at, sent.path, visit.session.org, kind, column - 1)
        if isinstance(look, str):
            return look
        keeper = Keeper(self._parts.back_office, self._parts.folder, visit.now_ms)
        origin = Origin(visit.org_id, identifier=kind, identifier_column=column - 1)
        return await kept(keeper, sent, origin, partial(_keep, visit, draft, look))


def _keep(visit: Visit, draft: Draft, look: Look, tx: WriteTransaction, upload: Upload) -> str:
    """The file is the audience from now on; how many it names."""
    kind = cast("ListKind", upload.identifier)
    looked = min(look.rows, AUDIENCE_ROWS_LOOKED_UP)
    known = known_of(tx, visit.org_id, kind, look.values)
    content = replace(
        draft.content,
        whom="file",
        audience=Audience(upload_id=upload.id, identifier=kind, column=upload.identifier_column or 0),
        upload_name=upload.sent_name,
        upload_rows=look.rows,
        upload_looked=looked,
        upload_known=known,
    )
    if save_draft(tx, visit.org_id, draft, content, visit.now_ms):
        return _STALE
    after = {"file": upload.sent_name, "rows": look.rows, "identifier": kind}
    audit.record(tx, visit.actor(), "upload an audience", ("upload", upload.id), after=after)
    among = "these" if looked == look.rows else f"the first {looked:,}"
    return f"The file lists {look.rows:,} rows by “{look.header}”; of {among}, {known:,} name a customer."
