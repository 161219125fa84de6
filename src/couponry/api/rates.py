"""Rate limits: requests per credential and minute, counted in this process (README 8)."""

import math
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

# Which setting limits an endpoint. The path is enough, as a wrong method is turned away after the rate limit; where reads share
# the path of a limited write, the method stands before it.
OPERATIONS: Final = MappingProxyType(
    {
        "/v2/coupon/redeem": "REDEEM",
        "/v1.1/coupon/redeem": "REDEEM",
        "/v2/coupon/bulk/redeem": "BULK_REDEEM",
        "/v2/coupon/is_redeemable": "IS_REDEEMABLE",
        "/v1.1/coupon/isredeemable": "IS_REDEEMABLE",
        "/v1.1/coupon/series": "V11_SERIES",
        "/v1.1/customer/add": "CUSTOMER_ADD",
        "POST /v2/customers": "CUSTOMER_ADD",
        "/v2/coupon/issue": "V2_ISSUE",
        "/v2/coupon/issue/multiple": "V2_ISSUE",
        "/v2/coupon/bulk/issue": "BULK_ISSUE",
    }
)


class Rates:
    """The limits that are on; an operation without one costs two dictionary look-ups."""

    def __init__(self, per_minute: Mapping[str, int]) -> None:
        self._items = {
            path: RateLimitItemPerMinute(per_minute[operation], namespace=operation)
            for path, operation in OPERATIONS.items()
            if per_minute.get(operation)
        }
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage()) if self._items else None

    def wait_s(self, method: str, path: str, scope: str) -> int:
        """0 when the request may pass, else the seconds after which to try again."""
        item = self._items.get(path) or self._items.get(f"{method} {path}")
        if item is None or self._limiter is None or self._limiter.hit(item, scope):
            return 0
        reset_s = self._limiter.get_window_stats(item, scope).reset_time
        return max(1, math.ceil(reset_s - time.time()))
