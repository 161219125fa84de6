"""V2 coupon endpoints: JSON in, JSON out (contract v2-coupon)."""
