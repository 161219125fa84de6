"""What a job may be asked for, judged when somebody asks: whatever is certain to fail is refused then, and not hours later."""

from datetime import datetime

from couponry.core import expiry
from couponry.core.generation import shape_of
from couponry.core.job_requests import ExpiryRequest, IssueRequest, RevokeRequest
from couponry.core.limits import ISSUE_COUNT_MAX, ISSUED_CODES_MAX
from couponry.core.model import Handling, Org
from couponry.core.problem import Problem
from couponry.core.series import Series
from couponry.core.status import Code


def issue_problem(org: Org, series: Series, codes_made: int, request: IssueRequest, now_ms: int) -> Problem | None:
    """J2, J3, and what a count may be: of coupons for each customer, or of codes for nobody yet, which must still exist."""
    terms, most = series.terms, ISSUED_CODES_MAX if request.audience is None else ISSUE_COUNT_MAX
    if terms.external_issual:
        return _refused(Code.WRONG_SOURCE, "coupons of an external series are issued elsewhere")
    if now_ms > series.expires_ms:
        return _refused(Code.SERIES_EXPIRED)
    if not 0 < request.count <= most:
        return _refused(Code.INVALID_INPUT, f"count must be from 1 to {most:,}")
    if request.audience is not None:
        return None
    if terms.client_handling_type is not Handling.GENERATED:
        return _refused(Code.INVALID_INPUT, "codes of this series are not generated; name an audience")
    if request.send:
        return _refused(Code.INVALID_INPUT, "codes that nobody gets cannot be sent")
    left = shape_of(terms, org.settings).capacity - codes_made
    if request.count > left:
        return _refused(Code.NO_CODE_LEFT, f"{request.count:,} codes are wanted, and {max(0, left):,} are left; make them longer")
    return None


def change_problem(series: Series, request: RevokeRequest | ExpiryRequest, now_ms: int) -> Problem | None:
    """712, 690 and 691 for all coupons at once; nobody is told of codes that nobody has."""
    if now_ms > series.expires_ms:
        return _refused(Code.SERIES_EXPIRED)
    if request.audience is not None and request.coupons == "unissued":
        return _refused(Code.INVALID_INPUT, "unissued coupons are nobody's; leave the audience out")
    if request.audience is not None and request.audience.identifier is None:
        return _refused(Code.INVALID_INPUT, "coupons are changed of all customers, or of those that are listed")
    if isinstance(request, RevokeRequest):
        return None
    last_ms = expiry.last_ms(datetime.fromisoformat(request.expires_local), series.zone)
    if last_ms < now_ms:
        return _refused(Code.EXPIRY_IN_PAST)
    return _refused(Code.EXPIRY_BEYOND_SERIES) if last_ms > series.expires_ms else None


def expires_local(series: Series, expires_ms: int) -> str:
    """The wall clock of the series' zone, as coupons keep it."""
    return expiry.local_time(expires_ms // 1000, series.zone).replace(tzinfo=None).isoformat()


def _refused(code: Code, detail: str = "") -> Problem:
    return Problem(code.number, code.message, detail)
