"""`GET /v2/coupon`, `/v2/customers/coupons` and `/v2/customers/{customerId}/coupons` (v2-coupon 12-14).

What is found is also put into words on the back office's threads: a list may be long, and the event loop has others to serve.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import falcon.asgi
import msgspec

from couponry.api.call import Call, Reply
from couponry.api.envelopes import E, error_of, headers_of, http_status
from couponry.api.parts import Parts
from couponry.api.v2 import coupon_reads_query as query
from couponry.api.v2 import coupon_reads_render as render
from couponry.api.v2.coupon_reads_described import OPERATIONS
from couponry.api.v2.coupon_reads_responses import (
    CouponsResponse,
    DetailedResponse,
    HeldEntity,
    HeldFailure,
    HeldResponse,
    Pagination,
)
from couponry.core.status import Code
from couponry.store.back_office import BackOffice
from couponry.store.coupon_reads import CouponReads, Page, ReadCoupon
from couponry.store.customers import find_customer
from couponry.store.engine import ReadTransaction
from couponry.store.offers import Offered, read_series

__all__ = ["OPERATIONS", "routes"]

_ENCODE: Final = msgspec.json.Encoder().encode


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    reads, office, clock = CouponReads(), parts.back_office, parts.clock
    return {
        "/v2/coupon": Coupons(reads, office),
        "/v2/customers/coupons": HeldCoupons(reads, office, clock),
        "/v2/customers/{customer_id}/coupons": AllCoupons(reads, office, clock),
    }


class Coupons:
    """Coupons by id, code or customer."""

    def __init__(self, reads: CouponReads, office: BackOffice) -> None:
        self._reads = reads
        self._office = office

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Read."""
        asked = query.coupons_asked(req)
        told = asked if isinstance(asked, Code) else await self._office.read(partial(self._found, asked))
        if isinstance(told, Code):
            _failed(told, CouponsResponse([], errors=[error_of(told)])).write(resp)
            return
        Reply(200, told).write(resp)

    def _found(self, asked: query.CouponsAsked, tx: ReadTransaction) -> bytes | Code:
        org, case = asked.org, asked.case
        page = self._reads.find(tx, org.id, asked.filters)
        if isinstance(page, Code):
            return page
        rows = _series_rows(tx, org.id, page.coupons) if asked.with_series else ()
        series = {row.series.id: render.series_in_coupon(row, org.zone) for row in rows}
        data = [render.coupon_details(one, org.zone, case, series, with_details=asked.with_details) for one in page.coupons]
        return _ENCODE(CouponsResponse(data, _warnings(page)))


class HeldCoupons:
    """A customer's coupons, page by page."""

    def __init__(self, reads: CouponReads, office: BackOffice, clock: Callable[[], int]) -> None:
        self._reads = reads
        self._office = office
        self._clock = clock

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Read."""
        asked = query.held_asked(req)
        told = asked if isinstance(asked, Code) else await self._office.read(partial(self._found, asked))
        _held_reply(told).write(resp)

    def _found(self, asked: query.HeldAsked, tx: ReadTransaction) -> bytes | Code:
        customer = find_customer(tx, asked.org.id, asked.customer)
        if isinstance(customer, Code):
            return customer
        listing = asked.listing
        page = self._reads.held(tx, asked.org.id, customer.id, listing, self._clock())
        if isinstance(page, Code):
            return page
        pagination = Pagination(str(listing.limit), str(listing.offset), page.total)
        return _ENCODE(HeldResponse(HeldEntity(pagination, [render.holder(customer, page.coupons, asked)])))


class AllCoupons:
    """All coupons of a customer, in detail."""

    def __init__(self, reads: CouponReads, office: BackOffice, clock: Callable[[], int]) -> None:
        self._reads = reads
        self._office = office
        self._clock = clock

    async def on_get(self, req: Call, resp: falcon.asgi.Response, customer_id: str) -> None:
        """Read."""
        asked = query.all_asked(req, customer_id)
        told = asked if isinstance(asked, Code) else await self._office.read(partial(self._found, asked))
        _held_reply(told).write(resp)

    def _found(self, asked: query.HeldAsked, tx: ReadTransaction) -> bytes | Code:
        org = asked.org
        customer = find_customer(tx, org.id, asked.customer)
        if isinstance(customer, Code):
            return customer
        page = self._reads.held(tx, org.id, customer.id, asked.listing, self._clock())
        if isinstance(page, Code):
            return page
        series: dict[int, dict[str, Any]] = {
            row.series.id: render.series_in_detail(row, org.zone) for row in _series_rows(tx, org.id, page.coupons)
        }
        entity = [render.detailed(one, customer, asked, series) for one in page.coupons]
        return _ENCODE(DetailedResponse(entity, _warnings(page)))


def _series_rows(tx: ReadTransaction, org_id: int, coupons: Sequence[ReadCoupon]) -> list[Offered]:
    return read_series(tx, org_id, sorted({coupon.series.id for coupon in coupons}))


def _warnings(page: Page) -> list[E]:
    """A list without pages ends at a bound, and says so: 1060 as a warning, beside the newest coupons."""
    return [error_of(Code.BATCH_LIMIT_EXCEEDED)] if page.total > len(page.coupons) else []


def _held_reply(told: bytes | Code) -> Reply:
    if isinstance(told, Code):
        return _failed(told, HeldFailure([error_of(told)]))
    return Reply(200, told)


def _failed(code: Code, response: msgspec.Struct) -> Reply:
    return Reply(http_status(code), _ENCODE(response), headers_of(code))
