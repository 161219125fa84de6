"""`/coupon/api/v1/upload/*`: files of coupons and of redemptions, what becomes of them, and what came out (upload)."""
