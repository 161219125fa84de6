"""What a series can cost at worst: the most that one redemption takes off, times the most redemptions that there can be."""

from decimal import Decimal

from msgspec import Struct

from couponry.core.limits import MONEY_MAX
from couponry.core.model import Handling, Terms


class Liability(Struct, frozen=True):
    """The worst case. None is no bound: neither for one redemption (`each`), nor for how many there can be (`redemptions`)."""

    each: Decimal | None
    redemptions: int | None

    @property
    def total(self) -> Decimal | None:
        """In the org's currency; None when nothing bounds it."""
        if self.each == 0 or self.redemptions == 0:
            return Decimal(0)
        return None if self.each is None or self.redemptions is None else self.each * self.redemptions


def worst_case(terms: Terms, coupons: int | None) -> Liability:
    """Of so many coupons in circulation; None when nobody knows how many there will be."""
    return Liability(most_off(terms), most_redemptions(terms, coupons))


def most_off(terms: Terms) -> Decimal | None:
    """The most that one redemption takes off: an amount as it is, a percentage by its ceiling or by the largest bill."""
    largest_bill = terms.max_bill_amount if 0 < terms.max_bill_amount < MONEY_MAX else None
    if terms.discount_type == "ABS":
        return terms.discount_value if largest_bill is None else min(terms.discount_value, largest_bill)
    if terms.discount_value == 0:
        return Decimal(0)
    of_largest = None if largest_bill is None else largest_bill * terms.discount_value / 100
    ceilings = [each for each in (terms.discount_upto or None, of_largest) if each is not None]
    return min(ceilings, default=None)


def uses_of_a_coupon(terms: Terms) -> int | None:
    """How often one coupon can be redeemed (C14-C16); None without a bound."""
    if not terms.is_multiple_use_allowed:
        return 1
    if terms.redemption_per_coupon_max_limit > 0:
        return terms.redemption_per_coupon_max_limit
    return 1 if not terms.any_user and not terms.same_user_multiple_redeem else None


def most_redemptions(terms: Terms, coupons: int | None) -> int | None:
    """How many redemptions there can be: coupons times uses, and never more than `maxRedeem`."""
    uses = uses_of_a_coupon(terms)
    ends = [terms.max_redeem] if terms.max_redeem >= 0 else []
    if coupons is not None and uses is not None and not is_open_to_strangers(terms):
        ends.append(coupons * uses)
    return min(ends, default=None)


def is_open_to_strangers(terms: Terms) -> bool:
    """Whether people who were never given the one shared code may redeem it, each as if it were theirs."""
    return terms.any_user and terms.client_handling_type is Handling.SHARED


def is_riskier(before: Terms, after: Terms, issued: int) -> bool:
    """Whether terms may cost more than those before them: in all, for each redemption, or by how many of these there can be."""
    old, new = (worst_case(terms, most_coupons(terms, issued, None)) for terms in (before, after))
    pairs = ((old.total, new.total), (old.each, new.each), (old.redemptions, new.redemptions))
    is_same_kind = before.discount_type == after.discount_type
    grows = is_same_kind and after.discount_value > before.discount_value
    return grows or any(was is not None and (now is None or now > was) for was, now in pairs)


def most_coupons(terms: Terms, issued: int, new: int | None) -> int | None:
    """How many coupons there can be: as many as may ever be issued, else those there are and `new` ones (None: nobody knows)."""
    wanted = None if new is None else issued + new
    if terms.max_create < 0:
        return wanted
    return terms.max_create if wanted is None else min(terms.max_create, wanted)
