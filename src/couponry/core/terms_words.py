"""Terms in plain words: what a series says, as a few sentences, and what two of its versions say differently."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Struct

from couponry.core.limits import MONEY_MAX
from couponry.core.model import ALWAYS, ExpiryStrategy, Handling, Terms
from couponry.core.series import ids_from_text, window_from_text

Names = Mapping[tuple[str, int], str]
"""What places are called, by kind (TILL, STORE, ZONE, CONCEPT) and id."""

NO_NAMES: Final[Names] = {}
_DAYS: Final = ("Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays")
_FAR_YEAR: Final = 2100
_NO_YEAR: Final = 9999
"""A series without a last day gets one a hundred years on; some write the last year that there is."""
_PLACE: Final = {"TILL": "till", "STORE": "store", "ZONE": "zone", "CONCEPT": "concept"}
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")

LABELS: Final[Mapping[str, str]] = {
    "description": "Name of the offer",
    "seriesCode": "Series code",
    "discountCode": "Discount code for the till",
    "discountType": "Kind of discount",
    "discountValue": "Discount",
    "discountUpto": "At most",
    "discountOn": "Taken off",
    "minBillAmount": "Smallest bill",
    "maxBillAmount": "Largest bill",
    "clientHandlingType": "Where codes come from",
    "genericCode": "The shared code",
    "randomCodeLength": "Length of a code",
    "alphaNumeric": "Letters as well as digits",
    "unambiguousCode": "Without letters that look alike",
    "couponPrefix": "Before each code",
    "isPrefixEnabled": "Prefix in use",
    "couponSuffix": "After each code",
    "isSuffixEnabled": "Suffix in use",
    "externalIssual": "Codes issued elsewhere",
    "validTillDate": "Last day",
    "validTillDateTime": "Last moment",
    "expiryStrategyType": "When a coupon expires",
    "expiryStrategyValue": "Days or months",
    "redemptionValidFrom": "First day",
    "redemptionValidAfterDays": "Days to wait after issue",
    "redemptionRange": "Days and hours",
    "redemptionOrgEntityDetails": "Places",
    "redeemAtStore": "Stores and tills by id",
    "storeIdsJson": "Stores and tills by id, too",
    "maxCreate": "Coupons in all",
    "maxRedeem": "Redemptions in all",
    "maxVouchersPerUser": "Coupons for one customer",
    "isMultipleVouchersPerUserAllowed": "Several coupons at a time",
    "doNotResendExistingVoucher": "Do not send an unused coupon again",
    "minDaysBetweenVouchers": "Days between two coupons of a customer",
    "anyUser": "Anybody may use a coupon",
    "isMultipleUseAllowed": "A coupon works several times",
    "sameUserMultipleRedeem": "One customer may use a coupon again",
    "redemptionPerCouponMaxLimit": "Uses of one coupon",
    "maxRedemptionsInSeriesPerUser": "Redemptions by one customer",
    "minDaysBetweenRedemption": "Days between two redemptions",
    "mutualExclusiveSeriesIds": "Not together with series",
    "issueToLoyalty": "Loyalty members only",
    "isValidationRequired": "Customer confirms with a code",
    "isPreRedeemEventRequired": "Ask our own system first",
    "smsTemplate": "Message",
    "shortSMSTemplate": "Short message",
    "isSMSDisabled": "Messages switched off",
    "resendMessageEnabled": "Messages may be sent again",
    "expiryReminders": "Reminders",
    "issueLimitThreshold": "Tell contacts when so many are left",
    "termsAndConditions": "Small print",
    "info": "Note",
    "tag": "Tag",
    "reversalPolicy": "After a reversal",
    "productInfo": "Products",
    "customPropertyMap": "Own properties",
    "targetUserDetails": "Customers by their history",
    "hasAudience": "For listed customers only",
    "seriesType": "Kind of series",
}
_VALUES: Final[Mapping[str, Mapping[str, str]]] = {
    "discountType": {"ABS": "an amount", "PERC": "a percentage"},
    "discountOn": {"BILL": "the bill", "ITEM": "an item"},
    "clientHandlingType": {"DISC_CODE": "generated", "DISC_CODE_PIN": "uploaded", "GENERIC": "one shared code"},
    "expiryStrategyType": {"SERIES_EXPIRY": "with the series", "DAYS": "days after issue", "MONTHS_END": "at a month's end"},
}


class Difference(Struct, frozen=True):
    """One field of two versions, in words."""

    label: str
    before: str
    after: str


def money(amount: Decimal, currency: str) -> str:
    """An amount without needless decimals."""
    text = f"{amount:,.2f}".removesuffix(".00")
    return f"{currency} {text}"


def day(value: date) -> str:
    """A date in words."""
    return f"{value.day} {value:%B %Y}"


def listing(words: Sequence[str], last: str = "and") -> str:
    """`a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def headline(terms: Terms, currency: str) -> str:
    """What the coupon gives."""
    if terms.discount_type == "PERC":
        percent = f"{terms.discount_value.normalize():f} % off"
        gives = f"{percent}, at most {money(terms.discount_upto, currency)}" if terms.discount_upto > 0 else percent
    else:
        gives = f"{money(terms.discount_value, currency)} off"
    least = terms.min_bill_amount if terms.min_bill_amount > 0 else None
    most = terms.max_bill_amount if 0 < terms.max_bill_amount < MONEY_MAX else None
    if least is not None and most is not None:
        return f"{gives}, on bills from {money(least, currency)} to {money(most, currency)}"
    if least is not None:
        return f"{gives}, on bills from {money(least, currency)}"
    return f"{gives}, on bills up to {money(most, currency)}" if most is not None else gives


def sentences(terms: Terms, currency: str, names: Names = NO_NAMES) -> list[str]:
    """All that decides whether a coupon can be redeemed, in a few sentences; each stands for itself."""
    found = [headline(terms, currency), _codes(terms), _uses(terms), _issue(terms), _when(terms), _validity(terms)]
    found += [_where(terms, names), _caps(terms), _asks(terms), _reminders(terms)]
    return [f"{text[0].upper()}{text[1:]}." for text in found if text]


def in_one_line(terms: Terms, currency: str) -> str:
    """The most of it, parted by semicolons."""
    parts = (headline(terms, currency), _uses(terms), _when(terms), _validity(terms))
    return "; ".join(part for part in parts if part)


def differences(before: Terms, after: Terms, currency: str, names: Names = NO_NAMES) -> list[Difference]:
    """What changed, field by field, in the order in which a person would read it."""
    found = []
    for name in (*LABELS, *(each for each in _fields(after) if each not in LABELS)):
        old, new = _fields(before).get(name), _fields(after).get(name)
        if old != new and name != "zone":
            shown = (_value(name, value, currency, names) for value in (old, new))
            found.append(Difference(label(name), *shown))
    return found


def label(wire_name: str) -> str:
    """What a field is called where people read."""
    return LABELS.get(wire_name) or _CAMEL.sub(" ", wire_name).capitalize()


def in_labels(text: str) -> str:
    """A refusal's detail with the wire's names of fields replaced by ours."""
    for name in sorted(LABELS, key=len, reverse=True):
        text = re.sub(rf"\b{name}\b", f"“{LABELS[name]}”", text)
    return text


def field_named(text: str) -> str:
    """The first field of the wire that a refusal's detail names; empty when it names none."""
    places = {name: at for name in LABELS if (at := _place(name, text)) >= 0}
    return min(places, key=lambda name: places[name], default="")


def _place(name: str, text: str) -> int:
    found = re.search(rf"\b{name}\b", text)
    return found.start() if found else -1


def _codes(terms: Terms) -> str:
    match terms.client_handling_type:
        case Handling.SHARED:
            return f"everybody uses the code {terms.generic_code}"
        case Handling.UPLOADED:
            return "codes come from a file that you upload"
        case Handling.GENERATED:
            if terms.external_issual:
                return "codes are issued elsewhere"
            kind = "digits" if not terms.alpha_numeric else "letters and digits"
            return f"each code is {terms.random_code_length} {kind}"


def _uses(terms: Terms) -> str:
    who = "anybody may use a coupon" if terms.any_user else "only the customer who got a coupon may use it"
    if not terms.is_multiple_use_allowed:
        return f"each code once; {who}"
    often = "several times"
    if terms.redemption_per_coupon_max_limit > 0:
        often = f"up to {terms.redemption_per_coupon_max_limit:,} times"
    again = "" if terms.same_user_multiple_redeem else ", by each customer once"
    gap = terms.min_days_between_redemption
    apart = f", {gap} days apart" if gap > 0 else ""
    return f"each code {often}{again}{apart}; {who}"


def _issue(terms: Terms) -> str:
    most, gap = terms.max_vouchers_per_user, terms.min_days_between_vouchers
    several = terms.is_multiple_vouchers_per_user_allowed and terms.client_handling_type is not Handling.SHARED
    parts = ["a customer may hold several coupons" if several else "a customer holds one unused coupon at a time"]
    parts += [f"{_times(most, 'coupon')} in all"] if most >= 0 else []
    parts += [f"{gap} days between two"] if gap > 0 else []
    parts += ["loyalty members only"] if terms.issue_to_loyalty else []
    parts += ["listed customers only"] if terms.has_audience else []
    return ", ".join(parts)


def _when(terms: Terms) -> str:
    window = window_from_text(terms.redemption_range)
    parts = []
    if window.days_of_week:
        ordered = sorted(window.days_of_week, key=lambda number: (number - 1) % 7)
        parts.append(listing([_DAYS[number] for number in ordered]))
    if window.days_of_month:
        parts.append(f"on day {listing([str(number) for number in sorted(window.days_of_month)])} of the month")
    if window.hours:
        parts.append(listing([f"{first:02}:00 to {last:02}:59" for first, last in _runs(window.hours)]))
    return ", ".join(parts)


def _validity(terms: Terms) -> str:
    end = terms.valid_till_date_time or terms.valid_till_date
    is_far = end is None or end.year >= _FAR_YEAR
    last = "" if end is None or is_far else _end(end)
    count = terms.expiry_strategy_value
    if terms.expiry_strategy_type is ExpiryStrategy.DAYS:
        life = f"for {_times(count, 'day')} after it was given"
        last = f"{life}, and no longer than {last}" if last else life
    elif terms.expiry_strategy_type is ExpiryStrategy.MONTHS_END:
        life = "until the end of the month in which it was given"
        life = life if not count else f"until the end of the month {_times(count, 'month')} after it was given"
        last = f"{life}, and no longer than {last}" if last else life
    else:
        last = f"until {last}" if last else _without_end(end)
    first = f"from {day(terms.redemption_valid_from)}" if terms.redemption_valid_from > ALWAYS else ""
    wait = terms.redemption_valid_after_days
    if wait > 0:
        first = ", ".join(part for part in (first, f"from {_times(wait, 'day')} after it was given") if part)
    return f"{first}, {last}" if first else last


def _without_end(end: date | datetime | None) -> str:
    return "without an end" if end is None or end.year >= _NO_YEAR else f"without an end ({day(end)})"


def _end(end: date | datetime) -> str:
    return f"{day(end)}, {end:%H:%M}" if isinstance(end, datetime) else day(end)


def _where(terms: Terms, names: Names) -> str:
    places: dict[str, list[str]] = {}
    for one in terms.redemption_org_entity_details:
        kind = one.redemption_org_entity_type
        places.setdefault(kind, []).append(names.get((kind, one.org_entity_id), f"no. {one.org_entity_id}"))
    for number in sorted(ids_from_text(terms.redeem_at_store) | ids_from_text(terms.store_ids_json)):
        known = names.get(("STORE", number)) or names.get(("TILL", number)) or f"no. {number}"
        places.setdefault("STORE", []).append(known)
    if not places:
        return "at every till"
    return "at " + listing([f"{_PLACE[kind]}{'s' * (len(each) > 1)} {listing(each)}" for kind, each in places.items()], "or")


def _caps(terms: Terms) -> str:
    parts = [f"at most {_times(terms.max_create, 'coupon')}"] if terms.max_create >= 0 else []
    parts += [f"at most {_times(terms.max_redeem, 'redemption')}"] if terms.max_redeem >= 0 else []
    most = terms.max_redemptions_in_series_per_user
    parts += [f"at most {_times(most, 'redemption')} by one customer"] if most >= 0 else []
    return ", ".join(parts) or "no limit on coupons or redemptions in all"


def _asks(terms: Terms) -> str:
    parts = ["the customer confirms with a code that we send them"] if terms.is_validation_required else []
    parts += ["our own system is asked first"] if terms.is_pre_redeem_event_required else []
    others = ids_from_text(terms.mutual_exclusive_series_ids)
    parts += [f"not for who got a coupon of series {listing([str(one) for one in sorted(others)], 'or')}"] if others else []
    return ", ".join(parts)


def _reminders(terms: Terms) -> str:
    if terms.is_sms_disabled or not terms.expiry_reminders:
        return ""
    told = [
        f"{_times(each.days_before, 'day')} before by {'SMS' if each.channel == 'SMS' else 'e-mail'} at {each.time_of_day}"
        for each in sorted(terms.expiry_reminders, key=lambda one: -one.days_before)
    ]
    return f"customers are reminded {listing(told)}"


def _times(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _runs(hours: Iterable[int]) -> list[tuple[int, int]]:
    """Hours that follow one another, first and last."""
    runs: list[tuple[int, int]] = []
    for hour in sorted(hours):
        if runs and runs[-1][1] == hour - 1:
            runs[-1] = (runs[-1][0], hour)
        else:
            runs.append((hour, hour))
    return runs


def _fields(terms: Terms) -> dict[str, Any]:
    """Every field by the wire's name, defaults too."""
    return {one.encode_name: getattr(terms, one.name) for one in msgspec.structs.fields(Terms)}


def _value(name: str, value: object, currency: str, names: Names) -> str:
    if name in _VALUES:
        return _VALUES[name].get(str(value), str(value))
    match value:
        case bool():
            return "yes" if value else "no"
        case None | "" | ():
            return "–"
        case Decimal():
            return _amount(name, value, currency)
        case datetime() | date():
            return "always" if value == ALWAYS else _end(value)
        case int():
            return "no limit" if value == -1 else f"{value:,}"
        case str():
            return _text(name, value)
        case tuple() if name == "redemptionOrgEntityDetails":
            places = [(one.redemption_org_entity_type, one.org_entity_id) for one in value]
            return listing([names.get(place, f"no. {place[1]}") for place in places])
        case _:
            return msgspec.json.encode(value).decode()


def _amount(name: str, value: Decimal, currency: str) -> str:
    if name == "discountValue":
        return f"{value.normalize():f}"
    return "no limit" if value >= MONEY_MAX or value == -1 else money(value, currency)


def _text(name: str, value: str) -> str:
    if name == "redemptionRange":
        window = window_from_text(value)
        hours = [f"{first:02}:00 to {last:02}:59" for first, last in _runs(window.hours)]
        days = [_DAYS[number] for number in sorted(window.days_of_week)]
        dates = [f"day {number}" for number in sorted(window.days_of_month)]
        return ", ".join((*days, *dates, *hours)) or "any time"
    if name in {"mutualExclusiveSeriesIds", "redeemAtStore", "storeIdsJson"}:
        return ", ".join(str(one) for one in sorted(ids_from_text(value))) or "–"
    return value
