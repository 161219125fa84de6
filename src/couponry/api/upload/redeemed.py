"""`/coupon/api/v1/upload/redeemFile/{couponSeriesId}`, and what became of such uploads (upload 2, 3)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import falcon.asgi
import msgspec

from couponry.api.call import Call
from couponry.api.envelopes import UPLOADS, upload_failure
from couponry.api.parts import Parts
from couponry.api.upload import described
from couponry.api.upload.intake import Filed, Intake
from couponry.api.upload.listing import listed
from couponry.api.upload.statuses import redeemed_uploads
from couponry.core.jobs import JobKind
from couponry.core.model import Terms
from couponry.core.problem import Problem
from couponry.store.receiving import bad

OPERATIONS: Final = described.REDEEMED
_FIELDS: Final = ("customerIdentifier", "couponIdentifier", "uploadHeaders")
# The column that holds an identifier of each kind. Where the first kind here is mapped beside another, it wins.
_CUSTOMERS: Final = MappingProxyType({"USER_ID": "userId", "MOBILE": "mobile", "EMAIL": "email", "EXTERNAL_ID": "externalId"})
_COUPONS: Final = MappingProxyType({"COUPON_ID": "couponId", "COUPON_CODE": "couponCode"})
_ALWAYS: Final = ("redeemedDateInMillis", "redeemedAt")
_ELSE: Final = ("billId", "billNumber", "details")


def routes(parts: Parts) -> dict[str, object]:
    """Where files of redemptions come in, and where it is told what became of them."""
    return {
        f"{UPLOADS}redeemFile/{{series_id}}": RedeemedFiles(parts),
        f"{UPLOADS}getUploadRedeemedCouponStatus/{{series_id}}": RedeemedStatuses(parts),
    }


class RedeemedFiles:
    """Takes files of redemptions that were made elsewhere."""

    def __init__(self, parts: Parts) -> None:
        self._intake = Intake(parts, JobKind.REDEEMED_UPLOAD, _FIELDS, planned)

    async def on_post(self, req: Call, resp: falcon.asgi.Response, series_id: str) -> None:
        """Take one; a job works on it."""
        filed = await self._intake.take(req, series_id)
        if not isinstance(filed, Filed):
            upload_failure(filed).write(resp)
            return
        redeemed_uploads(filed.org, int(series_id), [filed.job], filed.job.request["uploadedName"]).write(resp)


class RedeemedStatuses:
    """Tells what became of them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def on_get(self, req: Call, resp: falcon.asgi.Response, series_id: str) -> None:
        """All of a series, oldest first."""
        found = await listed(self._parts, req, series_id, JobKind.REDEEMED_UPLOAD)
        (redeemed_uploads(*found) if isinstance(found, tuple) else upload_failure(found)).write(resp)


def planned(fields: Mapping[str, str], _terms: Terms, columns: Sequence[str]) -> dict[str, Any] | Problem:
    """What an upload of redemptions is to do: where each value stands, with one column for the customer, one for the coupon."""
    mapped = _mapped(fields.get("uploadHeaders", ""), len(columns))
    if isinstance(mapped, Problem):
        return mapped
    customer = _kind(fields, "customerIdentifier", _CUSTOMERS, mapped)
    if isinstance(customer, Problem):
        return customer
    coupon = _kind(fields, "couponIdentifier", _COUPONS, mapped)
    if isinstance(coupon, Problem):
        return coupon
    needed = (*_ALWAYS, _CUSTOMERS[customer], _COUPONS[coupon])
    missing = [name for name in needed if name not in mapped]
    if missing:
        return bad(f"uploadHeaders does not say where {missing[0]} is")
    kept = {name: index for name, index in mapped.items() if name in (*needed, *_ELSE)}
    return {"identifier": customer, "couponIdentifier": coupon, "columns": kept}


def _kind(fields: Mapping[str, str], name: str, kinds: Mapping[str, str], mapped: Mapping[str, int]) -> str | Problem:
    """What rows name somebody or something by: the id where it is mapped, else what was asked for."""
    sent = fields.get(name, "").upper()
    if not sent:
        return bad(f"the part {name} is missing")
    if sent not in kinds:
        return bad(f"{name} is none of {', '.join(kinds)}")
    by_id = next(iter(kinds))
    return by_id if kinds[by_id] in mapped else sent


def _mapped(sent: str, columns: int) -> dict[str, int] | Problem:
    """Column name to index; none of the names holds a quote, so that single ones may stand for double ones."""
    if not sent:
        return bad("the part uploadHeaders is missing")
    try:
        mapped = msgspec.json.decode(sent if '"' in sent else sent.replace("'", '"'))
    except (ValueError, RecursionError):
        return bad("uploadHeaders is not JSON")
    if not isinstance(mapped, dict):
        return bad("uploadHeaders is no JSON object")
    names = {*_ALWAYS, *_CUSTOMERS.values(), *_COUPONS.values(), *_ELSE}
    unknown = next((name for name in mapped if name not in names), None)
    if unknown is not None:
        return bad(f"uploadHeaders may name {', '.join(sorted(names))}, and nothing else")
    for name, index in mapped.items():
        if type(index) is not int or not 0 <= index < columns:
            return bad(f"uploadHeaders.{name} is no index of a column of the file")
    return mapped
