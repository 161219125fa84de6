"""The form of a series' terms: its fields grouped as people think of them, each with one plain sentence."""

# ruff: noqa: N815 - fields of the form have the names of the wire's fields

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from wtforms import BooleanField, DecimalField, Field, Form, IntegerField, StringField, TextAreaField
from wtforms.validators import Length, Optional

from couponry.console.fields import Choice, Choices, Options
from couponry.core.limits import CODE_CHARS_MAX, IDENTIFIER_CHARS_MAX, SERIES_TEXT_CHARS_MAX

_DAYS: Final = {
    "1": "Monday",
    "2": "Tuesday",
    "3": "Wednesday",
    "4": "Thursday",
    "5": "Friday",
    "6": "Saturday",
    "0": "Sunday",
}
_LINES_MAX: Final = 20_000
"""Characters of a list of places."""


class Group(Struct, frozen=True):
    """Fields that belong together; the advanced ones are folded away."""

    title: str
    fields: Sequence[str]
    advanced: Sequence[str] = ()


GROUPS: Final = (
    Group(
        "Discount",
        ("description", "discountType", "discountValue", "discountUpto", "minBillAmount", "maxBillAmount"),
        ("discountCode", "discountOn", "termsAndConditions"),
    ),
    Group(
        "Codes",
        ("clientHandlingType", "genericCode", "randomCodeLength", "alphaNumeric"),
        ("seriesCode", "unambiguousCode", "couponPrefix", "couponSuffix"),
    ),
    Group(
        "Validity",
        ("validTillDate", "expiryStrategyType", "expiryStrategyValue"),
        ("validTillTime", "redemptionValidFrom", "redemptionValidAfterDays"),
    ),
    Group(
        "Limits",
        ("maxCreate", "maxRedeem", "maxVouchersPerUser", "maxRedemptionsInSeriesPerUser"),
        (
            *("anyUser", "isMultipleUseAllowed", "redemptionPerCouponMaxLimit", "sameUserMultipleRedeem"),
            *("minDaysBetweenRedemption", "isMultipleVouchersPerUserAllowed", "doNotResendExistingVoucher"),
            *("minDaysBetweenVouchers", "mutualExclusiveSeriesIds", "issueToLoyalty", "issueLimitThreshold"),
        ),
    ),
    Group("Where and when", ("days", "hours", "stores"), ("dates", "zones", "concepts", "tills")),
    Group("Proof", ("isValidationRequired",), ("isPreRedeemEventRequired",)),
)


def _number(label: str, hint: str) -> IntegerField:
    return IntegerField(label, [Optional()], description=hint, render_kw={"inputmode": "numeric"})


def _amount(label: str, hint: str) -> DecimalField:
    return DecimalField(label, [Optional()], places=None, description=hint, render_kw={"inputmode": "decimal"})


def _places(label: str, hint: str) -> TextAreaField:
    return TextAreaField(label, [Length(max=_LINES_MAX)], description=hint, render_kw={"rows": 2})


class TermsForm(Form):
    """Fields have the wire's names, but for those that several of the wire's, or only parts of one, are made of."""

    description = StringField(
        "Name of the offer",
        [Length(max=SERIES_TEXT_CHARS_MAX)],
        description="Customers read it in messages and at the till.",
    )
    discountType = Options(
        "Kind of discount", {"PERC": "A percentage of the bill", "ABS": "An amount off the bill"}, default="PERC"
    )
    discountValue = _amount("Discount", "How many per cent, or how much in your currency.")
    discountUpto = _amount("At most", "The most that a percentage takes off one bill; empty for no ceiling.")
    minBillAmount = _amount("Smallest bill", "Smaller bills get no discount; empty for any bill.")
    maxBillAmount = _amount("Largest bill", "Larger bills get no discount; empty for any bill.")
    discountCode = StringField("Discount code for the till", description="What your till knows the discount by; empty for none.")
    discountOn = Choice(
        "Taken off", {"BILL": "the bill", "ITEM": "an item"}, default="BILL", description="Your till decides how."
    )
    termsAndConditions = TextAreaField("Small print", description="Shown with the coupon.", render_kw={"rows": 3})
    clientHandlingType = Options(
        "Where codes come from",
        {
            "DISC_CODE": "We generate one for each customer",
            "DISC_CODE_PIN": "You upload a list of codes",
            "GENERIC": "Everybody uses one shared code",
        },
        default="DISC_CODE",
    )
    genericCode = StringField(
        "The shared code",
        [Length(max=CODE_CHARS_MAX)],
        description="Only for a shared code: letters and digits, such as WELCOME10.",
    )
    randomCodeLength = IntegerField(
        "Length of a code", [Optional()], default=8, description="Longer codes are harder to guess; 8 suits most campaigns."
    )
    alphaNumeric = BooleanField(
        "Letters as well as digits", default=True, description="Digits alone are easier to type, and to guess."
    )
    seriesCode = StringField(
        "Series code", [Length(max=IDENTIFIER_CHARS_MAX)], description="What your systems call the series; no two have the same."
    )
    unambiguousCode = BooleanField(
        "Without letters that look alike", default=True, description="Leaves out 0, O, 1, I and L, which people mix up."
    )
    couponPrefix = StringField("Before each code", description="Letters and digits that every code begins with.")
    couponSuffix = StringField("After each code", description="Letters and digits that every code ends with.")
    validTillDate = StringField(
        "Last day", description="No coupon of the series works after it; empty for never.", render_kw={"type": "date"}
    )
    expiryStrategyType = Options(
        "When a coupon expires",
        {
            "SERIES_EXPIRY": "On the last day, whenever it was given",
            "DAYS": "So many days after it was given",
            "MONTHS_END": "At the end of a month after it was given",
        },
        default="SERIES_EXPIRY",
    )
    expiryStrategyValue = _number("Days or months", "Only for the last two choices: how many after it was given.")
    validTillTime = StringField("Time on the last day", description="Empty for the end of the day.", render_kw={"type": "time"})
    redemptionValidFrom = StringField(
        "First day", description="Coupons cannot be redeemed before it; empty for at once.", render_kw={"type": "date"}
    )
    redemptionValidAfterDays = _number("Days to wait after issue", "So long after it was given a coupon cannot be redeemed yet.")
    maxCreate = _number("Coupons in all", "How many coupons there can ever be; empty for no limit.")
    maxRedeem = _number("Redemptions in all", "How many redemptions there can ever be; empty for no limit.")
    maxVouchersPerUser = _number("Coupons for one customer", "How many one customer can ever get; empty for no limit.")
    maxRedemptionsInSeriesPerUser = _number(
        "Redemptions by one customer", "Over all of the customer's coupons; empty for no limit."
    )
    anyUser = BooleanField("Anybody may use a coupon", description="Not only the customer who got it.")
    isMultipleUseAllowed = BooleanField("A coupon works several times", description="Otherwise it is used up by one redemption.")
    redemptionPerCouponMaxLimit = _number(
        "Uses of one coupon", "How often one code can be used, by all customers; empty for no limit."
    )
    sameUserMultipleRedeem = BooleanField(
        "One customer may use a coupon again", description="Otherwise each customer uses the same code once."
    )
    minDaysBetweenRedemption = _number("Days between two redemptions", "By one customer; empty for none.")
    isMultipleVouchersPerUserAllowed = BooleanField(
        "Several coupons at a time", description="Otherwise a customer has to use one before they get another."
    )
    doNotResendExistingVoucher = BooleanField(
        "Do not send an unused coupon again",
        default=True,
        description="Otherwise who holds one, and is to get another, is sent the one they hold.",
    )
    minDaysBetweenVouchers = _number("Days between two coupons of a customer", "Empty for none.")
    mutualExclusiveSeriesIds = StringField(
        "Not together with series",
        description="Who got a coupon of one of these series lately gets none: their numbers, with commas.",
    )
    issueToLoyalty = BooleanField("Loyalty members only", description="Others get no coupon.")
    issueLimitThreshold = _number("Tell contacts when so many are left", "Of the coupons in all; empty for never.")
    days = Choices("Days of the week", _DAYS, description="None ticked means every day.")
    hours = StringField(
        "Hours", description="By the store's clock: 10-13 is from 10:00 to 13:59. Several with commas; empty for all day."
    )
    dates = StringField("Days of the month", description="Such as 1, 15; empty for all.")
    stores = _places("Stores", "Their codes, with commas or one a line; empty for every store.")
    zones = _places("Zones", "Codes of zones; all stores in them count.")
    concepts = _places("Concepts", "Codes of concepts; all stores of them count.")
    tills = _places("Tills", "Codes of single tills.")
    isValidationRequired = BooleanField(
        "Customer confirms with a code", description="At the till they name a code that we send to their mobile."
    )
    isPreRedeemEventRequired = BooleanField(
        "Ask our own system first", description="Each redemption is put to the address in the settings, which may say no."
    )

    def grouped(self) -> list[tuple[Group, list[Field], list[Field], bool]]:
        """Group by group: its fields, the advanced ones, and whether one of those is wrong and must be seen."""
        found = []
        for group in GROUPS:
            advanced = [self[name] for name in group.advanced]
            found.append((group, [self[name] for name in group.fields], advanced, any(field.errors for field in advanced)))
        return found


PLACES: Final[Mapping[str, str]] = {"stores": "STORE", "zones": "ZONE", "concepts": "CONCEPT", "tills": "TILL"}
"""Fields of places, and the kind of each."""


def form_of(data: Mapping[str, Any]) -> TermsForm:
    """The form with these values in it."""
    return TermsForm(data=data)
