"""Between the form of terms and the wire's fields of a series: what was filled in as the API would be sent it, and back."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec
from wtforms import BooleanField, DecimalField, IntegerField
from wtforms.validators import ValidationError

from couponry.console.campaigns.terms_form import GROUPS, PLACES, TermsForm
from couponry.core.limits import MONEY_MAX, PLACES_TYPED_MAX
from couponry.core.model import ALWAYS, Terms
from couponry.core.problem import Problem
from couponry.core.rules.series import MANDATORY
from couponry.core.series import Window, ids_from_text, window_from_text
from couponry.core.status import Code
from couponry.core.terms_words import field_named, in_labels

Placed = Mapping[tuple[str, str], int]
"""Ids of places by kind and code."""

_NOT_OF_WIRE: Final = frozenset({"days", "hours", "dates", "validTillTime", *PLACES})
# Numbers that say "no limit" by -1, which a person says by leaving them empty.
_UNLIMITED: Final = frozenset(
    {
        *("maxCreate", "maxRedeem", "maxVouchersPerUser", "maxRedemptionsInSeriesPerUser", "redemptionPerCouponMaxLimit"),
        *("minDaysBetweenRedemption", "minDaysBetweenVouchers", "issueLimitThreshold"),
    }
)
_OF_WIRE: Final = frozenset(
    {"redemptionRange", "redemptionOrgEntityDetails", "validTillDateTime", "isPrefixEnabled", "isSuffixEnabled"}
)
"""Fields of the wire that the form makes of several of its own."""
# Which field of the form shows what is wrong with one of the wire, or with one that a code of its own is about.
_SHOWN_AT: Final[Mapping[str, str]] = {
    "redemptionRange": "days",
    "redemptionOrgEntityDetails": "stores",
    "validTillDateTime": "validTillDate",
    "isPrefixEnabled": "couponPrefix",
    "isSuffixEnabled": "couponSuffix",
}
_BY_CODE: Final[Mapping[int | str, str]] = {
    753: "seriesCode",
    754: "genericCode",
    756: "mutualExclusiveSeriesIds",
    Code.SERIES_CODE_TAKEN.number: "seriesCode",
    Code.SERIES_CODE_OF_ANOTHER.number: "seriesCode",
}
_FORM_NAMES: Final = frozenset(name for group in GROUPS for name in (*group.fields, *group.advanced))
_RUN: Final = re.compile(r"(\d{1,2})(?:\s*-\s*(\d{1,2}))?")
_NO_NAME: Final = re.compile(r"#(\d{1,16})")
_BETWEEN: Final = re.compile(r"[,\n\r]+")


def wire_fields(form: TermsForm, before: Mapping[str, Any], placed: Placed) -> dict[str, Any]:
    """The wire's fields: what the form says, and of `before` what the form does not know. The form is sound."""
    mine = {*form.data, *_OF_WIRE}
    fields: dict[str, Any] = {name: value for name, value in before.items() if name not in mine}
    for field in form:
        name, value = field.name, field.data
        if name in _NOT_OF_WIRE:
            continue
        if name in _UNLIMITED:
            fields[name] = -1 if value is None else value
        elif isinstance(field, BooleanField):
            fields[name] = bool(value)
        elif isinstance(field, DecimalField | IntegerField):
            if value is not None:
                fields[name] = str(value) if isinstance(value, Decimal) else value
        elif text := (value or "").strip():
            fields[name] = text
    return _composed(form, fields, placed)


def _composed(form: TermsForm, fields: dict[str, Any], placed: Placed) -> dict[str, Any]:
    others = fields.pop("mutualExclusiveSeriesIds", "")
    if others:
        fields["mutualExclusiveSeriesIds"] = f"[{others}]"
    for name, flag in (("couponPrefix", "isPrefixEnabled"), ("couponSuffix", "isSuffixEnabled")):
        fields[flag] = name in fields
    if fields.get("clientHandlingType") != "GENERIC":
        fields.pop("genericCode", None)
    time = (form.validTillTime.data or "").strip()
    if time and "validTillDate" in fields:
        fields["validTillDateTime"] = f"{fields['validTillDate']} {time}:00"
    window = {
        "dom": sorted(numbers(form.dates.data)),
        "dow": sorted(map(int, form.days.data or ())),
        "hours": sorted(hours(form.hours.data)),
    }
    if any(window.values()):
        fields["redemptionRange"] = msgspec.json.encode({part: listed or [-1] for part, listed in window.items()}).decode()
    entities = [
        {"redemptionOrgEntityType": kind, "orgEntityId": place_id}
        for name, kind in PLACES.items()
        for place_id in dict.fromkeys(_ids(form[name].data, kind, placed))
    ]
    if entities:
        fields["redemptionOrgEntityDetails"] = entities
    return fields


def form_data(fields: Mapping[str, Any], codes: Mapping[tuple[str, int], str]) -> dict[str, Any]:
    """What the form shows of the wire's fields. `codes` are those of places; one that has none is shown by its number."""
    data: dict[str, Any] = {name: value for name, value in fields.items() if name not in _OF_WIRE}
    for name in _UNLIMITED:
        if data.get(name) == -1:
            data[name] = None
    for name in ("minBillAmount", "maxBillAmount", "discountUpto"):
        amount = _decimal(data.get(name))
        data[name] = None if amount is None or amount in {Decimal(0), Decimal(-1), MONEY_MAX} else f"{amount:f}"
    if fields.get("redemptionValidFrom") == ALWAYS.isoformat():
        data["redemptionValidFrom"] = ""
    if fields.get("expiryStrategyType", "SERIES_EXPIRY") == "SERIES_EXPIRY":
        data["expiryStrategyValue"] = None
    if end := str(fields.get("validTillDateTime") or ""):
        data["validTillDate"], data["validTillTime"] = end[:10], end[11:16]
    data["mutualExclusiveSeriesIds"] = ", ".join(map(str, sorted(_exclusions(fields))))
    window = _window(fields)
    data["days"] = [str(number) for number in sorted(window.days_of_week)]
    data["dates"] = ", ".join(map(str, sorted(window.days_of_month)))
    data["hours"] = hours_text(window.hours)
    entities = fields.get("redemptionOrgEntityDetails") or ()
    for name, kind in PLACES.items():
        mine = [each["orgEntityId"] for each in entities if each["redemptionOrgEntityType"] == kind]
        data[name] = ", ".join(codes.get((kind, number), f"#{number}") for number in mine)
    return data


def fields_of_terms(terms: Terms) -> dict[str, Any]:
    """The wire's fields of terms, those too that stored terms leave out since they are the default."""
    shown = {one.encode_name: getattr(terms, one.name) for one in msgspec.structs.fields(Terms)}
    always = {name: value for name, value in shown.items() if name in _FORM_NAMES or name in MANDATORY}
    fields: dict[str, Any] = msgspec.to_builtins({**always, **msgspec.to_builtins(terms, str_keys=True)}, str_keys=True)
    return {name: value for name, value in fields.items() if value is not None}


def check_places(form: TermsForm, placed: Placed) -> bool:
    """Whether every code is a place's; those that are not are told at their field. Hours and dates are looked at, too."""
    for name, kind in PLACES.items():
        named = split(form[name].data)
        unknown = [text for text in named if not _NO_NAME.fullmatch(text) and (kind, text) not in placed]
        if unknown:
            wrong(form, name, f"There is no {kind.lower()} with the code {', '.join(unknown[:3])}.")
        if len(named) > PLACES_TYPED_MAX:
            wrong(form, name, f"At most {PLACES_TYPED_MAX} of them can be listed; use zones.")
    for name, read in (("hours", hours), ("dates", numbers)):
        try:
            read(form[name].data)
        except ValidationError as error:
            wrong(form, name, str(error))
    return not form.errors


def typed_codes(form: TermsForm) -> dict[str, list[str]]:
    """The codes of places that were typed, by kind."""
    return {
        kind: [text for text in split(form[name].data)[: PLACES_TYPED_MAX + 1] if not _NO_NAME.fullmatch(text)]
        for name, kind in PLACES.items()
    }


def place_problem(form: TermsForm, problem: Problem) -> str:
    """Show a refusal at the field that it belongs to, in words; what belongs to none is returned."""
    named = _BY_CODE.get(problem.code) or field_named(problem.detail or problem.message)
    at = _SHOWN_AT.get(named, named)
    text = in_labels(problem.detail or problem.message)
    text = f"{text[:1].upper()}{text[1:].rstrip('.')}. (Code {problem.code})"
    if at not in form:
        return text
    wrong(form, at, text)
    return ""


def wrong(form: TermsForm, name: str, text: str) -> None:
    """Say at a field what is wrong with it."""
    form[name].errors = [*form[name].errors, text]


def split(text: str | None) -> list[str]:
    """Codes that were typed with commas, or one a line."""
    return list(dict.fromkeys(each.strip() for each in _BETWEEN.split(text or "") if each.strip()))


def hours(text: str | None) -> set[int]:
    """`10-13, 17` as the hours themselves. Raises ValidationError."""
    return _runs(text, 0, 23, "Hours are 0 to 23, such as 10-13, 17.")


def numbers(text: str | None) -> set[int]:
    """`1, 15-20` as days of a month. Raises ValidationError."""
    return _runs(text, 1, 31, "Days of the month are 1 to 31, such as 1, 15.")


def hours_text(listed: Iterable[int]) -> str:
    """The same the other way round."""
    runs: list[list[int]] = []
    for hour in sorted(listed):
        if runs and runs[-1][1] == hour - 1:
            runs[-1][1] = hour
        else:
            runs.append([hour, hour])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)


def _runs(text: str | None, least: int, most: int, why: str) -> set[int]:
    found: set[int] = set()
    for part in split(text):
        match = _RUN.fullmatch(part)
        first = int(match[1]) if match else -1
        last = int(match[2] or match[1]) if match else -1
        if not least <= first <= last <= most:
            raise ValidationError(why)
        found.update(range(first, last + 1))
    return found


def _ids(text: str | None, kind: str, placed: Placed) -> list[int]:
    found = []
    for each in split(text):
        number = _NO_NAME.fullmatch(each)
        found.append(int(number[1]) if number else placed[kind, each])
    return found


def _exclusions(fields: Mapping[str, Any]) -> Iterable[int]:
    try:
        return ids_from_text(str(fields.get("mutualExclusiveSeriesIds") or "[]"))
    except (ValueError, msgspec.MsgspecError):
        return ()


def _window(fields: Mapping[str, Any]) -> Window:
    try:
        return window_from_text(str(fields.get("redemptionRange") or "{}"))
    except (ValueError, msgspec.MsgspecError):
        return Window()


def _decimal(value: object) -> Decimal | None:
    try:
        return None if value in (None, "") else Decimal(str(value))
    except InvalidOperation:
        return None
