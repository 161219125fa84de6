"""What a till can ask the ledger: frozen, decoded and of the right shape, but not yet judged."""

from decimal import Decimal

from msgspec import Struct

from couponry.core.model import Identifier, Place


class Item(Struct, frozen=True, gc=False):
    """One coupon of a request, by code (as sent) or by id; neither is 781."""

    code: str | None = None
    coupon_id: int | None = None
    validation_code: str = ""
    by_missed_call: bool = False
    custom_fields: tuple[tuple[str, str], ...] = ()


class IdempotencyKey(Struct, frozen=True, gc=False):
    """An explicit key within its credential's scope, and the body that it was first sent with (README 10)."""

    digest: str
    fingerprint: bytes


class Claim(Struct, frozen=True):
    """Coupons, the customer who shows them, and the place and bill they are shown for."""

    org_id: int
    place: Place
    customer: tuple[Identifier, ...]
    items: tuple[Item, ...]
    amount: Decimal | None = None
    transaction_number: str | None = None
    at_ms: int | None = None
    request_id: str = ""


class Redeem(Claim, frozen=True):
    """Redeem all the coupons or none. `hook_accepted` is the pre-redeem hook's verdict, asked for before the ledger."""

    key: IdempotencyKey | None = None
    hook_accepted: bool | None = None


class Check(Claim, frozen=True):
    """Ask whether the coupons could be redeemed; changes nothing."""


Command = Redeem | Check
