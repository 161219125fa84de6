"""What a till can ask the ledger: frozen, decoded and of the right shape, but not yet judged."""

from decimal import Decimal
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from couponry.core.deliveries import Channel
from couponry.core.limits import REVOKE_COUPONS_MAX
from couponry.core.model import Identifier, Place
from couponry.core.status import Code


class Item(Struct, frozen=True, gc=False):
    """One coupon of a request, by code (as sent) or by id; neither is 781.

    `validation_mac` stands for the validation code that was sent (`core.validation.Vault.mac`), empty for none.
    """

    code: str | None = None
    coupon_id: int | None = None
    validation_mac: str = ""
    by_missed_call: bool = False
    custom_fields: tuple[tuple[str, str], ...] = ()


def kinds(customer: tuple[Identifier, ...] | None) -> str:
    """What kinds of identifiers a request names its customer by, as a comma list; their id is shown anyway."""
    return ",".join(dict.fromkeys(kind for kind, _ in customer or () if kind != "id"))


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

    @property
    def rows_max(self) -> int:
        """The most rows of one kind that it may make."""
        return len(self.items)


class Redeem(Claim, frozen=True):
    """Redeem all the coupons or none. `hook_accepted` is the pre-redeem hook's verdict, asked for before the ledger.

    One that `has_side_effects` leaves a row for the org's side-effects hook.
    """

    key: IdempotencyKey | None = None
    hook_accepted: bool | None = None
    has_side_effects: bool = False


class Check(Claim, frozen=True):
    """Ask whether the coupons could be redeemed; changes nothing."""


class Resend(Claim, frozen=True):
    """Send the message about one coupon again; the coupon stays what it is. `no_gateway` is as `Issue` has it."""

    no_gateway: tuple[tuple[Channel, Code], ...] = ()


class Issue(Struct, frozen=True):
    """Put coupons of series into a customer's hands.

    `one` coupon of one series; one of `each` series, independently of the others; or `several` of one series, as many as may be.
    `details` is the request's metadata as JSON text. `source_is_known` is false for a bulk source that is not in the enum (777).
    `no_gateway` says what was found wrong with the gateways of an org that sends synchronously (794, 799).
    """

    org_id: int
    place: Place
    customer: tuple[Identifier, ...]
    series_ids: tuple[int, ...]
    form: Literal["one", "each", "several"] = "one"
    count: int = 1
    details: str | None = None
    source_is_known: bool = True
    request_id: str = ""
    key: IdempotencyKey | None = None
    no_gateway: tuple[tuple[Channel, Code], ...] = ()

    @property
    def rows_max(self) -> int:
        """The most rows of one kind that it may make."""
        return len(self.series_ids) * self.count


class Reverse(Struct, frozen=True):
    """Undo redemptions, all or none. `reason` is one of `model.REASONS`, or empty for none given."""

    org_id: int
    place: Place
    redemption_ids: tuple[int, ...]
    reason: str = ""
    request_id: str = ""
    customer: tuple[Identifier, ...] = ()

    @property
    def rows_max(self) -> int:
        """The most rows of one kind that it may make."""
        return len(self.redemption_ids)


class Revoke(Struct, frozen=True):
    """Take coupons out of circulation: listed codes, or a customer's unredeemed ones in a series.

    `customer` is None when none was sent. Without a series there is one code.
    """

    org_id: int
    place: Place
    customer: tuple[Identifier, ...] | None
    series_id: int | None
    codes: tuple[str, ...] = ()
    request_id: str = ""

    @property
    def rows_max(self) -> int:
        """The most rows of one kind that it may make."""
        return len(self.codes) or REVOKE_COUPONS_MAX


class Redate(Struct, frozen=True):
    """Give coupons of a series another expiry: pairs of a code and an instant, the last second of which still counts.

    `customer` is None when none was sent. Without a series there is one code.
    """

    org_id: int
    place: Place
    customer: tuple[Identifier, ...] | None
    series_id: int | None
    expiries: tuple[tuple[str, int], ...]
    request_id: str = ""

    @property
    def rows_max(self) -> int:
        """The most rows of one kind that it may make."""
        return len(self.expiries)


class Amendment(Struct, frozen=True, gc=False):
    """What to change about a redemption's bill; what is unset stays. Custom fields change by name."""

    redemption_id: int
    amount: Decimal | UnsetType = UNSET
    transaction_number: str | UnsetType = UNSET
    bill_id: int | UnsetType = UNSET
    custom_fields: tuple[tuple[str, str], ...] = ()


class Amend(Struct, frozen=True):
    """Change what is recorded about redemptions' bills, each by itself. `customer` is None when none was sent."""

    org_id: int
    place: Place
    customer: tuple[Identifier, ...] | None
    amendments: tuple[Amendment, ...]
    request_id: str = ""

    @property
    def rows_max(self) -> int:
        """The most rows of one kind that it may make."""
        return len(self.amendments)


Command = Redeem | Check | Resend | Issue | Reverse | Revoke | Redate | Amend
