"""Operations: where coupons are redeemed, who may ask, what leaves the house, and how it is all set."""
