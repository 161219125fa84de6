"""The nouns of the domain as plain frozen data. Instants are epoch milliseconds in UTC; local dates say so in their names."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from msgspec import Struct, field

from couponry.core.deliveries import Channel
from couponry.core.org_settings import OrgSettings

Identifier = tuple[str, str]
"""(kind, normal value); the kind is one of `IDENTIFIER_KINDS` or `id`."""

IDENTIFIER_KINDS = ("mobile", "email", "externalId", "cardnumber", "cardExternalId")


class Org(Struct, frozen=True, gc=False):
    """A tenant with the settings that rules read (rules 10-11, README 10)."""

    id: int
    zone: ZoneInfo
    currency: str
    country_code: str
    settings: OrgSettings
    issue_blocking_labels: frozenset[str]
    redemption_blocking_labels: frozenset[str]


class Place(Struct, frozen=True, gc=False):
    """The attribution till with everything above it: what a series' redemption scope is matched against (rules 8)."""

    till_id: int
    store_id: int
    zone_ids: frozenset[int]
    concept_ids: frozenset[int]
    time_zone: ZoneInfo


class Customer(Struct, frozen=True, gc=False, omit_defaults=True):
    """A person of one org; `gone` once merged away or deleted. `unsubscribed` names the channels they want no messages by."""

    id: int
    first_name: str = ""
    last_name: str = ""
    mobile: str | None = None
    email: str | None = None
    external_id: str | None = None
    card_number: str | None = None
    card_external_id: str | None = None
    is_loyalty: bool = True
    fraud_status: str = "NONE"
    status_label: str = "ACTIVE"
    transaction_count: int = 0
    registered_ms: int = 0
    updated_ms: int = 0
    gone: bool = False
    custom_fields: dict[str, Any] = {}
    unsubscribed: frozenset[str] = frozenset()

    @property
    def channel(self) -> Channel | None:
        """How they hear of coupons: by SMS, by e-mail without a mobile (events 5); None when they cannot be told."""
        channel = Channel.SMS if self.mobile else Channel.EMAIL
        return channel if (self.mobile or self.email) and channel.name not in self.unsubscribed else None


class Handling(StrEnum):
    """Where a series' codes come from (rules 3)."""

    GENERATED = "DISC_CODE"
    UPLOADED = "DISC_CODE_PIN"
    SHARED = "GENERIC"


class ExpiryStrategy(StrEnum):
    """How a coupon's expiry follows from its issue and its series (rules 4)."""

    SERIES_EXPIRY = "SERIES_EXPIRY"
    DAYS = "DAYS"
    MONTHS_END = "MONTHS_END"


class OrgEntity(Struct, frozen=True, gc=False, rename="camel"):
    """A till, store, zone or concept that a series may be redeemed at (rules 8)."""

    redemption_org_entity_type: Literal["TILL", "STORE", "ZONE", "CONCEPT"]
    org_entity_id: int


class TargetUser(Struct, frozen=True, gc=False, rename="camel"):
    """Which customers may redeem, by their history (rules 8); 0 or -1 in a field switches it off as its name there says."""

    valid_max_user_transaction_limit: int = -1
    valid_user_registration_start_time: int = 0
    valid_user_registration_end_time: int = 0


class Product(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """A product, brand, category or attribute that the offer names; informational."""

    product_type: Literal["SKU", "CATEGORY", "BRAND", "ATTRIBUTE"]
    product_ids: list[int] | None = None
    product_codes: list[str] | None = None


REVERSAL_REASONS: Final = ("CANCELLED", "PAYMENT_FAILED", "RETURNED", "PART_RETURNED", "CHARGEBACK", "CASHIER_ERROR")
"""Why a redemption may be reversed; a series may treat each in its own way."""


class AfterReversal(Struct, frozen=True, gc=False, rename="camel"):
    """What becomes of a use that is reversed: it returns, perhaps with `freshDays` days to live from then, or stays consumed."""

    use: Literal["returns", "consumed"] = "returns"
    fresh_days: int | None = None


class ExpiryReminder(Struct, frozen=True, gc=False, rename="camel"):
    """Tells holders of unused coupons that these expire in so many days (rules 6); `time_of_day` is HH:MM in the org's zone."""

    days_before: int
    channel: Literal["SMS", "EMAIL"]
    time_of_day: str


ALWAYS: Final = date(1970, 1, 1)
"""The default of `redemptionValidFrom`, long before any coupon."""


class Terms(Struct, frozen=True, rename="camel", omit_defaults=True):
    """One version of a series' terms under the wire's own names (rules 2). Dates are local to `zone`; -1 means unlimited."""

    description: str
    series_code: str
    zone: str
    info: str = ""
    tag: str = ""
    discount_code: str = "NO_VALUE"
    discount_type: Literal["ABS", "PERC"] = "ABS"
    discount_value: Decimal = Decimal(0)
    discount_upto: Decimal = Decimal(0)
    discount_on: Literal["BILL", "ITEM"] = "BILL"
    valid_till_date: date | None = None
    valid_till_date_time: datetime | None = None
    owned_by: str = "NONE"
    owner_id: int = -1
    owner_validity: int = 0
    expiry_strategy_type: ExpiryStrategy = ExpiryStrategy.SERIES_EXPIRY
    expiry_strategy_value: int = 1
    client_handling_type: Handling = Handling.GENERATED
    generic_code: str | None = None
    alpha_numeric: bool = True
    unambiguous_code: bool = False
    random_code_length: int = 8
    short_code_length: int = 0
    coupon_prefix: str | None = None
    is_prefix_enabled: bool = False
    coupon_suffix: str | None = None
    is_suffix_enabled: bool = False
    org_prefix_override: bool = False
    org_suffix_override: bool = False
    external_issual: bool = False
    max_create: int = -1
    max_redeem: int = -1
    max_vouchers_per_user: int = -1
    is_multiple_vouchers_per_user_allowed: bool = False
    do_not_resend_existing_voucher: bool = True
    min_days_between_vouchers: int = -1
    mutual_exclusive_series_ids: str = "[-1]"
    any_user: bool = False
    is_multiple_use_allowed: bool = False
    same_user_multiple_redeem: bool = False
    redemption_per_coupon_max_limit: int = -1
    max_redemptions_in_series_per_user: int = -1
    min_days_between_redemption: int = -1
    redemption_valid_from: date = ALWAYS
    redemption_valid_after_days: int = 0
    redemption_range: str = '{"dom":[-1],"dow":[-1],"hours":[-1]}'
    min_bill_amount: Decimal = Decimal(0)
    max_bill_amount: Decimal = Decimal(9007199254740991)
    redemption_org_entity_details: tuple[OrgEntity, ...] = ()
    redeem_at_store: str = "[-1]"
    store_ids_json: str = "[-1]"
    redeem_store_type: str = "redeemable_stores"
    target_user_details: TargetUser | None = None
    has_audience: bool = False
    is_validation_required: bool = False
    is_pre_redeem_event_required: bool = False
    signal_redemption_event: bool = False
    sms_template: str = ""
    short_sms_template: str = field(default="Hello {{cust_name}}, your voucher code is {{voucher_code}}", name="shortSMSTemplate")
    is_sms_disabled: bool = field(default=False, name="isSMSDisabled")
    resend_message_enabled: bool = True
    terms_and_conditions: str = "T&C"
    custom_property_map: dict[str, str] = {}
    product_info: tuple[Product, ...] = ()
    issue_to_loyalty: bool = False
    series_type: Literal["UNDEFINED", "CAMPAIGN", "LOYALTY", "GOODWILL", "DVS", "TEST"] = "UNDEFINED"
    is_valid_with_discounted_item: bool = False
    is_transferrable: bool = False
    is_referral_existing_users_allowed: bool = False
    max_referrals_per_referee: int = -1
    is_dvs_enabled: bool = False
    dvs_expiry_date: date | None = None
    dvs_items: str = "items"
    priority: int = 0
    campaign_id: int = -1
    source_org_id: int = -1
    offline_redeem_type: bool = False
    is_old_flow_enabled: bool = False
    sync_to_client: bool = False
    show_pin_code: bool = False
    update_product_data: bool = False
    purpose: str = ""
    metadata: str = ""
    valid_days_from_creation: int = 30
    reversal_policy: dict[str, AfterReversal] = {}
    """By reason, one of `REVERSAL_REASONS`; a use comes back where nothing is said."""
    expiry_reminders: tuple[ExpiryReminder, ...] = ()
    issue_limit_threshold: int = -1
    """With so many issues left or fewer, the org's contacts are told; -1 for never."""


class Coupon(Struct, frozen=True, gc=False):
    """A code in a pool or in a customer's hands.

    `holder_id` is the customer whose own record of a shared code this is, else 0. `redeemed` counts active redemptions, `uses`
    all that were ever made. `issued_by_redemption` marks what a redeemer was given or bound to without an issue.
    """

    id: int
    series_id: int
    code: str
    holder_id: int = 0
    customer_id: int | None = None
    issued_ms: int | None = None
    expires_local: str | None = None
    is_revoked: bool = False
    redeemed: int = 0
    uses: int = 0
    issued_by_redemption: bool = False


class Standing(Struct, frozen=True, gc=False):
    """What one customer has done in one series: active redemptions, all ever made, and the last active one; coupons that were
    issued and not revoked, and the last issue.
    """

    redeemed: int = 0
    uses: int = 0
    last_redeemed_ms: int | None = None
    is_stored: bool = False
    issued: int = 0
    last_issued_ms: int | None = None


class Redemption(Struct, frozen=True, gc=False):
    """One use of one coupon, numbered for the coupon and for the customer in the series; immutable but for its reversal.

    `discount` is what it gave (`core.figures`).
    """

    id: int
    coupon_id: int
    use_number: int
    customer_use_number: int
    series_id: int
    series_version: int
    customer_id: int
    till_id: int
    store_id: int
    redeemed_ms: int
    amount: Decimal | None
    transaction_number: str
    custom_fields: tuple[tuple[str, str], ...]
    request_id: str
    discount: Decimal = Decimal(0)


class StoredRedemption(Struct, frozen=True, gc=False):
    """A redemption as it is recorded; `is_undone` once it was reversed, or returned without its use coming back."""

    id: int
    coupon_id: int
    series_id: int
    customer_id: int
    redeemed_ms: int
    is_undone: bool
    amount: Decimal | None
    transaction_number: str
    bill_id: int | None
    custom_fields: dict[str, str]
    store_id: int = 0
    discount: Decimal = Decimal(0)
