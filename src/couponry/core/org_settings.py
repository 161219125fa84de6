"""What an org can decide for itself; `couponry org settings` prints this table, `couponry org set` writes it."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from couponry.core.limits import (
    CONTACTS_MAX,
    DERIVED_IDEMPOTENCY_HOURS_MAX,
    GOODWILL_A_DAY_MAX,
    MONEY_MAX,
    NAME_CHARS_MAX,
    REMINDER_DAYS_MAX,
    SERIES_TEMPLATE_CHARS_MAX,
)

FRAUD_STATUSES: Final = frozenset({"NONE", "MARKED", "CONFIRMED", "RECONFIRMED", "NOT_FRAUD", "INTERNAL"})
BLOCKING_FRAUD_STATUSES: Final = frozenset({"CONFIRMED", "RECONFIRMED", "INTERNAL"})
# Characters that codes are made of (README 7), at most half of a code.
_AFFIX: Final = "^[A-Za-z0-9_-]{0,20}$"
# No credentials in it: they would show in every listing of settings.
_HOOK_URL: Final = r"^(https?://[A-Za-z0-9._\[\]:-]{1,255}([/?][!-~]{0,1700})?)?$"

# Nothing that an e-mail's header or an Apprise URL would read as more than an address.
_Email = Annotated[str, Meta(pattern=r"""^[^@\s<>,;:"'()\\/?&%]{1,64}@[A-Za-z0-9.-]{1,190}$""")]


class OrgSettings(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Settings by their names in the contract; only those that differ from the default are stored."""

    basic_auth_enabled: Annotated[bool, Meta(description="tills may authenticate with Basic")] = True
    transaction_number_required: Annotated[bool, Meta(description="a redemption needs a transaction number (718)")] = False
    derived_idempotency_hours: Annotated[
        int,
        Meta(
            description="hours in which a repeated bill is answered as the first time; 0 = never",
            ge=0,
            le=DERIVED_IDEMPOTENCY_HOURS_MAX,
        ),
    ] = 24
    blocking_fraud_statuses: Annotated[
        frozenset[str], Meta(description="fraud statuses that block issue and redemption (740, 750)")
    ] = BLOCKING_FRAUD_STATUSES
    mobile_digits: Annotated[int, Meta(description="digits of a national mobile number, without dialling code", ge=4, le=14)] = 10
    otp_validity_minutes: Annotated[
        int, Meta(description="minutes that a validation code or missed call counts", ge=1, le=1440)
    ] = 15
    messages_sync: Annotated[bool, Meta(description="an issue waits for the message gateway (794, 799)")] = False
    sms_url: Annotated[str, Meta(description="Apprise URL that SMS go through")] = ""
    email_url: Annotated[str, Meta(description="Apprise URL that e-mails go through")] = ""
    pre_redeem_hook_url: Annotated[str, Meta(description="URL asked before a redemption (683)", pattern=_HOOK_URL)] = ""
    side_effects_hook_url: Annotated[str, Meta(description="URL told after a v1.1 redemption (687)", pattern=_HOOK_URL)] = ""
    min_sms_hour: Annotated[int, Meta(description="first hour of the day in which messages are sent", ge=0, le=23)] = 0
    max_sms_hour: Annotated[int, Meta(description="hour of the day from which no message is sent", ge=1, le=24)] = 24
    contact_emails: Annotated[
        tuple[_Email, ...],
        Meta(description="e-mail addresses that are told of issue limits and expiring offers", max_length=CONTACTS_MAX),
    ] = ()
    offer_expiry_notice_days: Annotated[
        int,
        Meta(
            description="days before a series expires that the contacts are told, at 10:00; 0 = never", ge=0, le=REMINDER_DAYS_MAX
        ),
    ] = 0
    resend_template: Annotated[
        str, Meta(description="template of resent messages; empty = the series' own", max_length=SERIES_TEMPLATE_CHARS_MAX)
    ] = ""
    opt_out: Annotated[str, Meta(description="what the tag {{ optout }} of templates says", max_length=NAME_CHARS_MAX)] = ""
    events_single_coupon_only: Annotated[
        bool, Meta(description="a redeem request of several coupons sends no CouponRedeem events")
    ] = False
    launch_approval_above: Annotated[
        int,
        Meta(
            description="a launch that may cost more, or has no bound, needs a second person; 0 = every launch, -1 = none",
            ge=-1,
            le=int(MONEY_MAX),
        ),
    ] = 100_000
    goodwill_approval_above: Annotated[
        int,
        Meta(
            description="a goodwill coupon worth more needs a second person; 0 = every one, -1 = none", ge=-1, le=int(MONEY_MAX)
        ),
    ] = 1_000
    goodwill_daily_max: Annotated[
        int, Meta(description="goodwill coupons that one agent may give in a day", ge=0, le=GOODWILL_A_DAY_MAX)
    ] = 20
    code_prefix: Annotated[str, Meta(description="put before generated codes", pattern=_AFFIX)] = ""
    code_suffix: Annotated[str, Meta(description="put after generated codes", pattern=_AFFIX)] = ""


def settings_problem(settings: OrgSettings) -> str | None:
    """What no single field's bounds can say; None when all is well."""
    if unknown := settings.blocking_fraud_statuses - FRAUD_STATUSES:
        return f"unknown fraud status {min(unknown)}"
    if settings.min_sms_hour >= settings.max_sms_hour:
        return "minSmsHour must be before maxSmsHour"
    return None
