"""Series terms from the wire's fields: every rule of rules.md section 2, for the API, the import and the demo alike.

Unknown and read-only fields are ignored. Values may be typed, as from JSON, or text, as from a CSV cell.
"""

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from couponry.core import limits
from couponry.core.codes import is_well_formed
from couponry.core.dates import local_from_wire
from couponry.core.expiry import local_time
from couponry.core.generation import guess_warning, shape_of, shape_problem
from couponry.core.model import REVERSAL_REASONS, ExpiryStrategy, Handling, Terms
from couponry.core.org_settings import OrgSettings
from couponry.core.problem import Problem
from couponry.core.series import ids_from_text, json_from_text, series_from_terms

MANDATORY: Final = ("description", "discountType", "discountValue", "clientHandlingType")
AUDIENCE: Final = "couponSeriesAudience"
OWNER_FIELDS: Final = frozenset({"ownedBy", "ownerId", "ownerValidity"})
YEARS_WITHOUT_EXPIRY: Final = 100

_FIELDS: Final = {field.encode_name: field for field in msgspec.structs.fields(Terms)}
WIRE_NAMES: Final = _FIELDS.keys() - {"zone", "hasAudience"}
_DATES: Final = ("validTillDate", "redemptionValidFrom", "dvsExpiryDate")
_NESTED: Final = (
    "redemptionOrgEntityDetails",
    "targetUserDetails",
    "customPropertyMap",
    "productInfo",
    "reversalPolicy",
    "expiryReminders",
)
# What a null unsets in an update; elsewhere it means that the field was not sent.
_UNSETTABLE: Final = frozenset(
    {
        *("redemptionPerCouponMaxLimit", "targetUserDetails", "redemptionOrgEntityDetails", "productInfo", "customPropertyMap"),
        *("couponPrefix", "couponSuffix", "reversalPolicy", "expiryReminders", "issueLimitThreshold"),
        *("purpose", "metadata"),
    }
)
# What decides which codes a series generates, and how many.
_CODE_FIELDS: Final = (
    *("alpha_numeric", "unambiguous_code", "random_code_length", "max_create", "coupon_prefix", "is_prefix_enabled"),
    *("coupon_suffix", "is_suffix_enabled", "org_prefix_override", "org_suffix_override", "external_issual"),
)
_JSON_TEXTS: Final = ("mutualExclusiveSeriesIds", "redemptionRange", "redeemAtStore", "storeIdsJson")
# Which texts may be longer than others, or not as long; all else has the usual bound.
_TEXT_CHARS: Final[Mapping[str, int]] = {
    **dict.fromkeys(
        ("smsTemplate", "shortSMSTemplate", "termsAndConditions", "metadata", "dvsItems"), limits.SERIES_TEMPLATE_CHARS_MAX
    ),
    **dict.fromkeys(_JSON_TEXTS, limits.TERMS_BYTES_MAX),
    **dict.fromkeys(("discountCode", "redeemStoreType", "ownedBy"), limits.NAME_CHARS_MAX),
    **dict.fromkeys(("couponPrefix", "couponSuffix"), limits.CODE_CHARS_MAX),
}
_TIME_OF_DAY: Final = re.compile("([01][0-9]|2[0-3]):[0-5][0-9]")
_GENERIC_CODE: Final = re.compile(rf"[A-Za-z0-9]{{1,{limits.CODE_CHARS_MAX}}}")
# Fields in which an empty text is a value; elsewhere it means that the field was not sent.
_TEXTS: Final = frozenset(name for name, field in _FIELDS.items() if field.type in {str, str | None}) - set(_JSON_TEXTS)
_UNSAVED: Final = "Couldn't save coupon series fields"
_STANDARD_TERMS: Final = "standard_terms_and_conditions"
_EPOCH_MS_MAX: Final = 253_402_300_799_999  # the end of the year 9999
_ID_MAX: Final = 2**53

# Least and most of each whole number; the wire's own names.
_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "maxCreate": (-1, limits.COUNT_MAX),
    "maxRedeem": (-1, limits.COUNT_MAX),
    "maxVouchersPerUser": (-1, limits.COUNT_MAX),
    "minDaysBetweenVouchers": (-1, limits.COUNT_MAX),
    "maxRedemptionsInSeriesPerUser": (-1, limits.COUNT_MAX),
    "minDaysBetweenRedemption": (-1, limits.COUNT_MAX),
    "redemptionValidAfterDays": (0, limits.EXPIRY_DAYS_MAX),
    "maxReferralsPerReferee": (-1, limits.COUNT_MAX),
    "issueLimitThreshold": (-1, limits.COUNT_MAX),
    "randomCodeLength": (4, limits.CODE_CHARS_MAX),
    "shortCodeLength": (0, limits.CODE_CHARS_MAX),
    "validDaysFromCreation": (-1, limits.COUNT_MAX),
    "priority": (-limits.COUNT_MAX, limits.COUNT_MAX),
    "campaignId": (-1, _ID_MAX),
    "sourceOrgId": (-1, _ID_MAX),
    "ownerId": (-1, _ID_MAX),
    "ownerValidity": (0, _EPOCH_MS_MAX),
}
_STRATEGY_VALUE_MAX: Final[Mapping[ExpiryStrategy, int]] = {
    ExpiryStrategy.SERIES_EXPIRY: limits.COUNT_MAX,
    ExpiryStrategy.DAYS: limits.EXPIRY_DAYS_MAX,
    ExpiryStrategy.MONTHS_END: limits.EXPIRY_MONTHS_MAX,
}


class _Unusable(Exception):
    """A field that cannot be saved (744); the message says which and why."""


def terms_from_wire(
    fields: Mapping[str, Any],
    zone: ZoneInfo,
    now_ms: int,
    *,
    new_code: str,
    series_id: int = 0,
    keeps_owner: bool = False,
) -> Terms | Problem:
    """The terms that these fields ask for, in the org's zone. `new_code` is the series code for those that name none.

    `series_id` is the series' own id, once it has one. `keeps_owner` takes the owner's fields, which clients cannot write.
    """
    taken = WIRE_NAMES if keeps_owner else WIRE_NAMES - OWNER_FIELDS
    given = {"seriesCode": new_code, **_given(fields, taken)}
    return _terms(given, zone, now_ms, series_id=series_id, has_audience=bool(fields.get(AUDIENCE)))


def changed_terms(before: Terms, fields: Mapping[str, Any], now_ms: int, *, series_id: int) -> Terms | Problem:
    """The terms that follow when these fields are sent, and no others (v2-coupon 11.2).

    A null unsets what a series shows only when set. Dates stay in the zone that the series was made in.
    """
    given: dict[str, Any] = {name: getattr(before, _FIELDS[name].name) for name in MANDATORY}  # stored only where no default
    given |= msgspec.json.decode(msgspec.json.encode(before))
    for name in _UNSETTABLE:
        if name in fields and fields[name] is None:
            given.pop(name, None)
    sent = _given(fields, WIRE_NAMES - OWNER_FIELDS)
    if "validTillDate" in sent:
        given.pop("validTillDateTime", None)  # which would win
    audience = fields.get(AUDIENCE)
    has_audience = before.has_audience if audience is None else bool(audience)
    after = _terms({**given, **sent}, ZoneInfo(before.zone), now_ms, series_id=0, has_audience=has_audience)
    if isinstance(after, Problem):
        return after
    if after.mutual_exclusive_series_ids != before.mutual_exclusive_series_ids and (
        wrong := _exclusion_problem(after, series_id)
    ):
        return wrong
    for name in ("clientHandlingType", "expiryStrategyType"):
        if getattr(before, _FIELDS[name].name) != getattr(after, _FIELDS[name].name):
            return Problem(744, _UNSAVED, f"{name} cannot be changed")
    return after


def code_space_problem(terms: Terms, settings: OrgSettings, before: Terms | None = None) -> Problem | None:
    """744 when generated codes would be none, or too easily guessed. An update is only asked about what it changes."""
    if terms.client_handling_type is not Handling.GENERATED or terms.external_issual:
        return None
    if before and all(getattr(before, name) == getattr(terms, name) for name in _CODE_FIELDS):
        return None
    return shape_problem(shape_of(terms, settings), terms.max_create)


def code_space_warning(terms: Terms, settings: OrgSettings, issued: int) -> str | None:
    """What the owner of a series with few possible codes is told, although it was saved."""
    if terms.client_handling_type is not Handling.GENERATED or terms.external_issual:
        return None
    return guess_warning(shape_of(terms, settings), terms.max_create, issued)


def _given(fields: Mapping[str, Any], taken: AbstractSet[str]) -> dict[str, Any]:
    """The fields that were sent."""
    return {
        name: value for name, value in fields.items() if name in taken and value is not None and (name in _TEXTS or value != "")
    }


def _terms(given: dict[str, Any], zone: ZoneInfo, now_ms: int, *, series_id: int, has_audience: bool) -> Terms | Problem:
    try:
        if refused := _texts_problem(given):
            return refused
        ours = {"zone": zone.key, "hasAudience": has_audience}
        terms = msgspec.convert({**_decoded(given, zone), **ours}, Terms, strict=False)
        terms = _with_defaults(terms, local_time(now_ms // 1000, zone).date())
        _check_numbers(terms)
        _check_codes(terms)
        _check_texts(terms)
        if wrong := _exclusion_problem(terms, series_id):
            return wrong
        _check_ids(terms)
        _check_reversals(terms)
        _check_reminders(terms)
        series_from_terms(series_id, 1, terms)
        # It also refuses numbers beyond what JSON is read with.
        if len(msgspec.json.encode(terms)) > limits.TERMS_BYTES_MAX:
            raise _Unusable(f"the fields of a series must be less than {limits.TERMS_BYTES_MAX} bytes together")
    except (_Unusable, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        return Problem(744, _UNSAVED, str(error))
    return terms


def _texts_problem(given: Mapping[str, Any]) -> Problem | None:
    """What must be there (403, 753, 754), before anything is read."""
    for name in MANDATORY:
        if not str(given.get(name, "")).strip():
            return Problem(403, f"Field {name} is mandatory.")
    if "seriesCode" in given and not str(given["seriesCode"]).strip():
        return Problem(753, "series code cannot be empty")
    if given["clientHandlingType"] == Handling.SHARED and not str(given.get("genericCode", "")).strip():
        return Problem(754, "generic cannot be empty for series type GENERIC")
    return None


def _exclusion_problem(terms: Terms, series_id: int) -> Problem | None:
    """756: `mutualExclusiveSeriesIds` is a JSON list of whole numbers, the series' own id not among them."""
    try:
        ids = ids_from_text(terms.mutual_exclusive_series_ids)
        is_wrong = series_id in ids or not _are_ids(ids)
    except (ValueError, msgspec.MsgspecError):
        is_wrong = True
    return Problem(756, "invalid value for mutually exclusive config series") if is_wrong else None


def _decoded(given: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """The same with dates read, nested values parsed, and JSON texts as text."""
    values = dict(given)
    for name in _DATES:
        if name in values:
            values[name] = _date(name, values[name], zone).date()
    if "validTillDateTime" in values:
        values["validTillDateTime"] = _date("validTillDateTime", values["validTillDateTime"], zone)
    for name in _NESTED:
        if isinstance(values.get(name), str):
            values[name] = _json(name, values[name])
        if isinstance(values.get(name), dict):
            values[name] = {key: value for key, value in values[name].items() if value is not None}
    for name in _JSON_TEXTS:
        if name in values and not isinstance(values[name], str):
            values[name] = msgspec.json.encode(values[name]).decode()
    return {name: value for name, value in values.items() if value is not None}


def _date(name: str, value: object, zone: ZoneInfo) -> datetime:
    try:
        local = local_from_wire(value, zone)
    except ValueError as error:
        raise _Unusable(f"{name} is {error}") from error
    if not limits.TERMS_YEAR_MIN <= local.year <= limits.TERMS_YEAR_MAX:
        raise _Unusable(f"{name} is not in the years {limits.TERMS_YEAR_MIN} to {limits.TERMS_YEAR_MAX}")
    return local


def _json(name: str, text: str) -> object:
    try:
        return json_from_text(text, object)
    except (msgspec.DecodeError, ValueError) as error:
        raise _Unusable(f"{name} is no JSON that can be read") from error


def _with_defaults(terms: Terms, today: date) -> Terms:
    """Fill what follows from other fields: expiry, names, and the strategy's own value (rules 2)."""
    expires = terms.valid_till_date_time
    is_series_expiry = terms.expiry_strategy_type is ExpiryStrategy.SERIES_EXPIRY
    return msgspec.structs.replace(
        terms,
        series_code=terms.series_code.strip(),
        info=terms.info or terms.description,
        tag=terms.tag or terms.description,
        discount_code=terms.discount_code.strip() or "NO_VALUE",
        valid_till_date=expires.date() if expires else terms.valid_till_date or _years_after(today, YEARS_WITHOUT_EXPIRY),
        expiry_strategy_value=1 if is_series_expiry else terms.expiry_strategy_value,
        generic_code=terms.generic_code.strip() if terms.generic_code and terms.client_handling_type is Handling.SHARED else None,
    )


def _years_after(day: date, years: int) -> date:
    """The same date years later; 28 February for a leap day that is not there."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


def _check_numbers(terms: Terms) -> None:
    for name, (least, most) in _RANGES.items():
        _within(name, getattr(terms, _FIELDS[name].name), least, most)
    _within("expiryStrategyValue", terms.expiry_strategy_value, 0, _STRATEGY_VALUE_MAX[terms.expiry_strategy_type])
    most_off = Decimal(100) if terms.discount_type == "PERC" else limits.MONEY_MAX
    _within("discountValue", terms.discount_value, Decimal(0), most_off)
    _within("discountUpto", terms.discount_upto, Decimal(0), limits.MONEY_MAX)
    _within("minBillAmount", terms.min_bill_amount, Decimal(0), limits.MONEY_MAX)
    if terms.max_bill_amount != -1:
        _within("maxBillAmount", terms.max_bill_amount, Decimal(0), limits.MONEY_MAX)
        if 0 < terms.max_bill_amount < terms.min_bill_amount:
            raise _Unusable("maxBillAmount must not be below minBillAmount")
    per_code = terms.redemption_per_coupon_max_limit
    if per_code != -1:
        _within("redemptionPerCouponMaxLimit", per_code, 1, limits.COUNT_MAX)
        if not terms.any_user or terms.client_handling_type is Handling.SHARED or terms.external_issual:
            raise _Unusable(
                "redemptionPerCouponMaxLimit needs anyUser and a DISC_CODE or DISC_CODE_PIN series that is not external"
            )
    if terms.external_issual and terms.any_user:
        raise _Unusable("an external series is not open to any user")


def _within(name: str, value: Decimal | int, least: Decimal | int, most: Decimal | int) -> None:
    is_number = not isinstance(value, Decimal) or value.is_finite()
    if not is_number or not least <= value <= most:
        raise _Unusable(f"{name} must be from {least} to {most}")


def _check_codes(terms: Terms) -> None:
    """The series code has a sane length; generated codes fit; a shared code is made of letters and digits (rules 3)."""
    if len(terms.series_code) > limits.IDENTIFIER_CHARS_MAX or not terms.series_code.isprintable():
        raise _Unusable("seriesCode is too long or holds control characters")
    if terms.generic_code and not _GENERIC_CODE.fullmatch(terms.generic_code):
        raise _Unusable(f"genericCode must be 1-{limits.CODE_CHARS_MAX} letters and digits")
    prefix = (terms.coupon_prefix or "") if terms.is_prefix_enabled else ""
    suffix = (terms.coupon_suffix or "") if terms.is_suffix_enabled else ""
    if not is_well_formed(prefix + "0" * terms.random_code_length + suffix):
        raise _Unusable(f"couponPrefix, randomCodeLength and couponSuffix must make codes of at most {limits.CODE_CHARS_MAX}")


def _check_ids(terms: Terms) -> None:
    """Ids must fit where they are looked up, and be as few as a redemption or an issue can look at."""
    for name in ("redeemAtStore", "storeIdsJson"):
        ids = ids_from_text(getattr(terms, _FIELDS[name].name))
        if not _are_ids(ids):
            raise _Unusable(f"{name} holds a number that is no id")
        _at_most(limits.SERIES_LIST_MAX, len(ids), f"{name}: ids")
    _at_most(limits.SERIES_EXCLUSIONS_MAX, len(ids_from_text(terms.mutual_exclusive_series_ids)), "mutualExclusiveSeriesIds: ids")
    _at_most(limits.SERIES_LIST_MAX, len(terms.redemption_org_entity_details), "redemptionOrgEntityDetails: entries")
    named = (name for one in terms.product_info for name in (*(one.product_ids or ()), *(one.product_codes or ())))
    _at_most(limits.SERIES_LIST_MAX, max(len(terms.product_info), sum(1 for _ in named)), "productInfo: products")
    if not _are_ids(entity.org_entity_id for entity in terms.redemption_org_entity_details):
        raise _Unusable("redemptionOrgEntityDetails holds a number that is no id")


def _are_ids(numbers: Iterable[int]) -> bool:
    return all(0 <= number <= _ID_MAX for number in numbers)


def _check_reversals(terms: Terms) -> None:
    for reason, after in terms.reversal_policy.items():
        if reason not in REVERSAL_REASONS:
            raise _Unusable(f"reversalPolicy knows {', '.join(REVERSAL_REASONS)}")
        if after.fresh_days is None:
            continue
        if after.use == "consumed":
            raise _Unusable("a use that stays consumed has no freshDays")
        _within("freshDays", after.fresh_days, 0, limits.EXPIRY_DAYS_MAX)


def _check_reminders(terms: Terms) -> None:
    """Few, at a time that a clock shows, and of each channel one a day: a coupon is reminded of by day and channel once."""
    reminders = terms.expiry_reminders
    _at_most(limits.EXPIRY_REMINDERS_MAX, len(reminders), "expiryReminders: entries")
    for reminder in reminders:
        _within("daysBefore", reminder.days_before, 0, limits.REMINDER_DAYS_MAX)
        if not _TIME_OF_DAY.fullmatch(reminder.time_of_day):
            raise _Unusable("timeOfDay must be HH:MM")
    if len({(reminder.days_before, reminder.channel) for reminder in reminders}) < len(reminders):
        raise _Unusable("expiryReminders holds two of the same day and channel")


def _check_texts(terms: Terms) -> None:
    for name, one in _FIELDS.items():
        if one.type in {str, str | None}:
            _at_most(
                _TEXT_CHARS.get(name, limits.SERIES_TEXT_CHARS_MAX), len(getattr(terms, one.name) or ""), f"{name}: characters"
            )
    _at_most(limits.CUSTOM_PROPERTIES_MAX, len(terms.custom_property_map), "customPropertyMap: properties")
    for name, text in terms.custom_property_map.items():
        most = limits.STANDARD_TERMS_CHARS_MAX if name == _STANDARD_TERMS else limits.CUSTOM_FIELD_CHARS_MAX
        _at_most(most, len(text), "customPropertyMap: characters of a value")
        _at_most(limits.NAME_CHARS_MAX, len(name), "customPropertyMap: characters of a name")
    for product in terms.product_info:
        for code in product.product_codes or ():
            _at_most(limits.NAME_CHARS_MAX, len(code), "productInfo: characters of a code")


def _at_most(most: int, count: int, what: str) -> None:
    if count > most:
        raise _Unusable(f"{what} must be at most {most}; there are {count}")
