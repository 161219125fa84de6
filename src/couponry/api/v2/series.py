"""`/v2/coupon/series`: make, change and read series (v2-coupon 11)."""

from functools import partial
from typing import Any, Final

import falcon.asgi
import msgspec

from couponry.api.call import Call, Reply
from couponry.api.envelopes import E, Errors, v2_failure
from couponry.api.parts import Parts
from couponry.api.seats import Seat, Seats, org_of
from couponry.api.v2 import series_described
from couponry.api.v2.series_object import series_fields
from couponry.api.v2.series_query import asked_of, body_of, id_of
from couponry.core import tags
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.rules.series import code_space_warning
from couponry.core.status import Code
from couponry.store.engine import WriteTransaction
from couponry.store.offering import Author, Draft, create_series, drafted, update_series
from couponry.store.offers import Offered, list_series, read_series

OPERATIONS: Final = series_described.OPERATIONS
_ENCODE: Final = msgspec.json.Encoder().encode
_UNLIMITED: Final = -1
# An update of the properties alone, perhaps with what names the series, is told so (745).
_PROPERTIES: Final = frozenset({"customPropertyMap"})
_NAMING: Final = frozenset({"id", "seriesCode"})
_DETAIL: Final = "X-Couponry-Detail"
_DETAIL_CHARS_MAX: Final = 500


def routes(parts: Parts) -> dict[str, object]:
    """All series of an org, and one by its id."""
    desk = _Desk(parts)
    return {"/v2/coupon/series": AllSeries(parts, desk), "/v2/coupon/series/{series_id}": OneSeries(desk)}


class AllSeries:
    """Create, read, and update by the body's id."""

    def __init__(self, parts: Parts, desk: "_Desk") -> None:
        self._back_office = parts.back_office
        self._desk = desk

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Create."""
        sent = await self._desk.sent(req)
        (v2_failure(sent) if isinstance(sent, Code) else await self._desk.create(*sent)).write(resp)

    async def on_put(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Update the series that the body names."""
        sent = await self._desk.sent(req)
        (v2_failure(sent) if isinstance(sent, Code) else await self._desk.update(*sent, None)).write(resp)

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Read series by id, by place, or all of them."""
        org, asked = org_of(req), asked_of(req)
        refused = next((one for one in (org, asked) if isinstance(one, Code)), None)
        if refused or isinstance(org, Code) or isinstance(asked, Code):
            v2_failure(refused or Code.MALFORMED).write(resp)
            return
        broken: list[int] = []
        found = await self._back_office.read(lambda tx: list_series(tx, org.id, **asked.filters, unreadable=broken))
        if not found and asked.must_find:
            found = Code.SERIES_UNREADABLE if broken else Code.INVALID_SERIES_ID
        if isinstance(found, Code):
            v2_failure(found).write(resp)
            return
        entity = [series_fields(row, org.zone, unlimited_total=_UNLIMITED) for row in found]
        Reply(200, _ENCODE({"entity": entity, "warnings": [_left_out(series_id) for series_id in broken]})).write(resp)


class OneSeries:
    """Update by the path's id."""

    def __init__(self, desk: "_Desk") -> None:
        self._desk = desk

    async def on_put(self, req: Call, resp: falcon.asgi.Response, series_id: str) -> None:
        """Update; an id that is no number is a bad path."""
        named = id_of(series_id)
        sent = Code.MALFORMED if named is None else await self._desk.sent(req)
        (v2_failure(sent) if isinstance(sent, Code) else await self._desk.update(*sent, named)).write(resp)


class _Desk:
    """Where series are written."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._seats = Seats(parts.attribution)

    async def sent(self, call: Call) -> tuple[Seat, dict[str, Any]] | Code:
        """In whose name, and the fields; the body's syntax comes before the attribution (status-codes 4)."""
        raw = await call.body()
        fields = raw if isinstance(raw, Code) else body_of(raw)
        if isinstance(fields, Code):
            return fields
        seat = await self._seats.of(call)
        return seat if isinstance(seat, Code) else (seat, fields)

    async def create(self, seat: Seat, fields: dict[str, Any]) -> Reply:
        """A new series, or why not."""
        now_ms = self._parts.clock()
        draft = drafted(fields, seat.org, now_ms, self._parts.new_code())
        if isinstance(draft, Problem):
            return _refused(draft)
        author = Author(now_ms, seat.till.place.till_id)
        return _saved(seat.org, await self._parts.back_office.write(partial(_create, seat.org.id, draft, author)), [])

    async def update(self, seat: Seat, fields: dict[str, Any], named: int | None) -> Reply:
        """The series with the fields that were sent, or why not."""
        own = fields.get("id")
        by_body = None if own in (None, "") else id_of(own) or 0
        if named is None and by_body is None:
            return v2_failure(Code.SERIES_ID_MISSING)
        series_id = by_body if named is None else named
        if series_id is None or by_body not in (None, series_id):
            return v2_failure(Code.INVALID_SERIES_ID)
        author = Author(self._parts.clock(), seat.till.place.till_id)

        def work(tx: WriteTransaction) -> Offered | Problem:
            return update_series(tx, seat.org, series_id, fields, author)

        remarks = [_remark("")] if fields.keys() - _NAMING == _PROPERTIES else []
        return _saved(seat.org, await self._parts.back_office.write(work), remarks)


def _create(org_id: int, draft: Draft, author: Author, tx: WriteTransaction) -> Offered | Problem:
    (made,) = create_series(tx, org_id, [draft], author, set())
    if isinstance(made, Problem):
        return made
    (row,) = read_series(tx, org_id, [made])
    return row


def _saved(org: Org, row: Offered | Problem | Code, remarks: list[E]) -> Reply:
    """The series as it is now, with what its owner should know."""
    if isinstance(row, Code):
        return v2_failure(row)
    if isinstance(row, Problem):
        return _refused(row)
    return Reply(200, _ENCODE({**series_fields(row, org.zone), "warnings": [*remarks, *_warnings(org, row)]}))


def _warnings(org: Org, row: Offered) -> list[E]:
    terms = row.series.terms
    odds = code_space_warning(terms, org.settings, row.counts.issued)
    return [_remark(text) for text in (*tags.remarks(terms), *([odds] if odds else []))]


def _left_out(series_id: int) -> E:
    """788, and which series it is about: one that is broken hides no other."""
    why = Code.SERIES_UNREADABLE
    return E(status=False, code=why.number, message=f"{why.message}; series {series_id} is left out")


def _remark(text: str) -> E:
    """745, with what there is to say about the saved series."""
    saved = Code.SERIES_FIELDS_SAVED
    return E(status=True, code=saved.number, message=f"{saved.message}; {text}" if text else saved.message)


def _refused(problem: Problem) -> Reply:
    """HTTP 400 with the contract's own message; which field it is about stands in a header."""
    assert isinstance(problem.code, int), "series are refused by codes of the contract"
    body = _ENCODE(Errors([E(status=False, code=problem.code, message=problem.message)]))
    detail = problem.detail.encode("ascii", "replace").decode()[:_DETAIL_CHARS_MAX]
    printable = "".join(letter if letter.isprintable() else " " for letter in detail)
    return Reply(400, body, {_DETAIL: printable} if printable else None)
