"""What if: the redemptions of the last days judged again under other terms, so that a change is tried out before it is made."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final

import falcon.asgi
import msgspec
from wtforms import DateField, DecimalField, Form, IntegerField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined] # the stubs are of the version before
from wtforms.validators import InputRequired, NumberRange, Optional

from couponry.console.fields import Choices
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.series.opened import SeriesPages, in_words
from couponry.console.visit import Form as Sent
from couponry.console.visit import Visit
from couponry.core.advice import advice
from couponry.core.limits import MONEY_MAX, STORES_CHOSEN_MAX, WHAT_IF_DAYS_MAX, WHAT_IF_PAGE_REDEMPTIONS_MAX
from couponry.core.problem import Problem
from couponry.core.roles import Permission
from couponry.core.series import Series, Window
from couponry.core.status import Code
from couponry.core.terms_words import in_labels
from couponry.store.engine import ReadTransaction
from couponry.store.replay import Replayed, Supposed, replayed
from couponry.store.series_pages import Line, stores_chosen_from

_ANY: Final = -1
_LIMIT: Final = [Optional(), NumberRange(_ANY, 10**9)]
_HOUR: Final = [Optional(), NumberRange(0, 23)]
_DAYS: Final = {str(day): name for day, name in enumerate(("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"))}
_SINGLE: Final = {
    "max_redeem": "maxRedeem",
    "per_customer": "maxRedemptionsInSeriesPerUser",
    "per_coupon": "redemptionPerCouponMaxLimit",
    "days_between": "minDaysBetweenRedemption",
}
_MONEY: Final = {"least": "minBillAmount", "most": "maxBillAmount"}


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The form and what comes of it."""
    return {"/series/{number}/what-if": Trial(parts, pages)}


class TrialFields(Form):
    """Terms that are often changed. What is left empty stays as it is."""

    days = IntegerField(
        "Over the last days",
        [InputRequired(), NumberRange(1, WHAT_IF_DAYS_MAX)],
        default=30,
        description="So many days of recorded redemptions are judged again.",
    )
    max_redeem = IntegerField("Redemptions in all", _LIMIT, description="By everybody together; -1 for no limit.")
    per_customer = IntegerField("Redemptions for one customer", _LIMIT, description="In this series; -1 for no limit.")
    per_coupon = IntegerField("Redemptions of one coupon", _LIMIT, description="By all who have it; -1 for no limit.")
    days_between = IntegerField("Days between redemptions", _LIMIT, description="Of one customer; -1 for none.")
    least = DecimalField("Smallest bill", [Optional(), NumberRange(0, MONEY_MAX)], description="A smaller bill is refused.")
    most = DecimalField("Largest bill", [Optional(), NumberRange(0, MONEY_MAX)], description="A larger bill is refused.")
    last_day = DateField("Last day of the series", [Optional()], description="Redemptions after it are refused.")
    from_hour = IntegerField("From the hour", _HOUR, description="By the store's clock; 17 for 5 in the afternoon.")
    to_hour = IntegerField("Up to the end of the hour", _HOUR, description="20 for up to 9 in the evening.")
    weekdays = Choices("Days of the week", _DAYS)
    stores = Choices("Only these stores", {})


class Trial(SeriesPages):
    """Try other terms out; changes nothing. One at a time in a process, so that pages stay quick."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CAMPAIGNS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        super().__init__(parts, pages)
        self._turn = asyncio.Lock()

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """The form; with something in it, what would have been refused."""
        opened = await self._opened(visit, resp, number, partial(_stores, visit.org_id))
        if opened is None:
            return
        line, stores = opened
        is_asked = bool(visit.query("days"))
        form = TrialFields(_sent(visit) if is_asked else None)
        form.stores.choices = [SelectChoice(str(store_id), name) for store_id, name in stores]
        if line.series:
            _say_what_is(form, line.series)
        found: Replayed | Problem | Code | None = None
        if is_asked and line.series and form.validate():
            if self._turn.locked():
                self._pages.problem(visit, resp, 503, "Somebody else is trying something out", "Please try again in a moment.")
                return
            async with self._turn:
                found = await self._replayed(visit, line.series, form)
        if isinstance(found, Code) and found is not Code.SERIES_UNREADABLE:
            self._pages.failed(visit, resp, found)
            return
        status = 400 if form.errors or isinstance(found, Problem) else 200
        context = _told(found) if isinstance(found, Replayed) else {"done": None}
        why = in_labels(in_words(found)) if isinstance(found, Problem) else ""
        self._pages.show(visit, resp, "series/what_if.html", status=status, line=line, form=form, why=why, **context)

    async def _replayed(self, visit: Visit, series: Series, form: TrialFields) -> Replayed | Problem | Code:
        supposed = Supposed(visit.session.org, series.id, terms_of(form, series), form.days.data or 1, visit.now_ms)
        work = partial(replayed, supposed=supposed, redemptions_max=WHAT_IF_PAGE_REDEMPTIONS_MAX)
        return await self._parts.back_office.read(work)


def _say_what_is(form: TrialFields, series: Series) -> None:
    """Each field's sentence ends with what the terms say now."""
    terms = series.terms
    now: dict[str, object] = {
        "max_redeem": terms.max_redeem,
        "per_customer": terms.max_redemptions_in_series_per_user,
        "per_coupon": terms.redemption_per_coupon_max_limit,
        "days_between": terms.min_days_between_redemption,
        "least": _plain(terms.min_bill_amount),
        "most": _ANY if terms.max_bill_amount >= MONEY_MAX else _plain(terms.max_bill_amount),
        "last_day": f"{series.expires_local:%-d %B %Y}",
    }
    for name, value in now.items():
        form[name].description = f"{form[name].description} Now: {'none' if value == _ANY else value}."


def terms_of(form: TrialFields, series: Series) -> dict[str, Any]:
    """What is changed, by the wire's own names."""
    data = form.data
    terms: dict[str, Any] = {wire: data[name] for name, wire in _SINGLE.items() if data[name] is not None}
    terms |= {wire: _plain(data[name]) for name, wire in _MONEY.items() if data[name] is not None}
    if data["last_day"]:
        terms |= {"validTillDate": data["last_day"].isoformat(), "validTillDateTime": None}
    if data["stores"]:
        entities = [{"redemptionOrgEntityType": "STORE", "orgEntityId": int(store_id)} for store_id in data["stores"]]
        terms |= {"redemptionOrgEntityDetails": entities, "redeemAtStore": "[-1]", "storeIdsJson": "[-1]"}
    if data["weekdays"] or data["from_hour"] is not None or data["to_hour"] is not None:
        terms["redemptionRange"] = _window(data, series.window)
    return terms


def _window(data: Mapping[str, Any], window: Window) -> str:
    """`redemptionRange`: what is not asked for stays; hours may go over midnight."""
    first, last = data["from_hour"], data["to_hour"]
    if first is None and last is None:
        hours = sorted(window.hours)
    else:
        begin, end = first or 0, 23 if last is None else last
        hours = [*range(begin, end + 1)] if begin <= end else [*range(end + 1), *range(begin, 24)]
    days = sorted(int(day) for day in data["weekdays"]) if data["weekdays"] else sorted(window.days_of_week)
    parts = {"dom": sorted(window.days_of_month) or [_ANY], "dow": days or [_ANY], "hours": hours or [_ANY]}
    return msgspec.json.encode(parts).decode()


def _plain(amount: Decimal) -> str:
    return f"{amount:f}"


def _sent(visit: Visit) -> Sent:
    params = visit.params
    return Sent({name: [value] if isinstance(value, str) else list(value) for name, value in params.items()})


def _stores(org_id: int, tx: ReadTransaction, _line: Line) -> list[tuple[int, str]]:
    return stores_chosen_from(tx, org_id, STORES_CHOSEN_MAX)


def _told(found: Replayed) -> dict[str, Any]:
    done = found.replay
    refused = [(advice(code), code, times) for code, times in done.refused.most_common()]
    return {"done": done, "refused": refused, "left": done.redemptions - done.refused.total(), "found": found}
