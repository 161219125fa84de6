"""The hooks of an org: asked before a redemption, and told after one (C21, v1.1-coupon 3)."""

from couponry.api.hooks.redeeming import Redeemed, Redeeming

__all__ = ["Redeemed", "Redeeming"]
