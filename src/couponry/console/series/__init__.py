"""Series pages: how one goes, its coupons and redemptions, files that come in, bulk work, and what-if."""
