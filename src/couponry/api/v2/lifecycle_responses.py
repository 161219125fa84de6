"""What reactivate, revoke, the change of expiries and the update of redemptions answer (v2-coupon 7-10)."""

from msgspec import UNSET, Struct, UnsetType

from couponry.api.envelopes import E
from couponry.api.v2.responses import CustomerBlock


class Done(Struct, frozen=True):
    """Whether something was done; a refusal of any of these endpoints looks like this too."""

    success: bool
    errors: list[E] = []
    warnings: list[E] = []


class RevokedCode(Struct, frozen=True, rename="camel", gc=False):
    """A coupon out of circulation; `issuedToUserId` is -1 when nobody had it."""

    coupon_id: int
    coupon_code: str
    issued_to_user_id: int


class FailedCodes(Struct, frozen=True, rename="camel"):
    """The codes that failed for one reason."""

    error_code: int
    error_message: str
    coupon_codes: list[str]


class Revocation(Struct, frozen=True, rename="camel"):
    """What became of each coupon."""

    total_count: int
    failed_count: int
    revoked_coupons: list[RevokedCode]
    failed_to_revoke: list[FailedCodes]


class RevokeResponse(Struct, frozen=True):
    """A revocation that was judged coupon by coupon; one that a rule refused as a whole has no entity."""

    entity: Revocation | UnsetType = UNSET
    warnings: list[E] = []
    errors: list[E] = []
    success: bool = True


class UnprocessedCoupon(Struct, frozen=True, rename="camel"):
    """A coupon whose expiry stays, with the expiry that was asked for."""

    expiry_date: str
    coupon_code: str
    error_code: int
    error_message: str


class Expiries(Struct, frozen=True, rename="camel"):
    """What became of the coupons; `userId` is -1 when no customer was named."""

    total_count: int
    failed_count: int
    success_count: int
    unprocessed_coupons: list[UnprocessedCoupon]
    user_id: int
    coupon_series_id: int


class ExpiryResponse(Struct, frozen=True):
    """A change of expiries that was judged coupon by coupon; one that a rule refused as a whole has no entity."""

    entity: Expiries | UnsetType = UNSET
    warnings: list[E] = []
    errors: list[E] = []
    success: bool = True


class UpdatedRedemption(Struct, frozen=True, rename="camel"):
    """What is recorded about a redemption's bill now; for one that was refused, what was sent."""

    redemption_id: int
    bill_amount: float
    transaction_number: str
    bill_id: int
    custom_fields: dict[str, str]
    redemption_status: E


class Update(Struct, frozen=True, rename="camel", kw_only=True):
    """What became of each redemption; `user` when one was named."""

    redemptions: list[UpdatedRedemption]
    user: CustomerBlock | UnsetType = UNSET
    status: E
    total_count: int
    failed_count: int


class UpdateResponse(Struct, frozen=True):
    """An update of redemptions that was judged one by one."""

    entity: Update
    warnings: list[E] = []
    errors: list[E] = []
    success: bool = True
