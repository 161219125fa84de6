"""What is asked outside for an org: its hooks around a redemption (C21, v1.1-coupon 3), its gateways before an issue (J13)."""

from couponry.api.hooks.issuing import Issuing
from couponry.api.hooks.redeeming import Redeemed, Redeeming

__all__ = ["Issuing", "Redeemed", "Redeeming"]
