"""Why was it refused? Every guard of a redemption, asked about any till and time, and answered in plain words."""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Final

import falcon.asgi
from msgspec import Struct
from msgspec.structs import replace
from wtforms import Form as Fields
from wtforms import StringField
from wtforms.validators import InputRequired, Length, ValidationError
from wtforms.widgets import DateTimeLocalInput

from couponry.console.care.lookups import Lookups
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Form, Visit
from couponry.core import explain, explain_words
from couponry.core.explain import Asked, Found
from couponry.core.limits import (
    CODE_CHARS_MAX,
    IDENTIFIER_CHARS_MAX,
    INSTANT_MS_MAX,
    MONEY_MAX,
    NAME_CHARS_MAX,
    TRANSACTION_NUMBER_CHARS_MAX,
)
from couponry.core.model import Org
from couponry.core.roles import Permission
from couponry.core.searching import customers
from couponry.core.status import Code
from couponry.core.terms_words import Names
from couponry.store import care as store
from couponry.store import history, searching
from couponry.store.engine import ReadTransaction
from couponry.store.searching import FoundTill

_MS_DIGITS: Final = range(11, 16)
_MS: Final = dt.timedelta(milliseconds=1)


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The form, and the answer below it."""
    return {"/care/explain": Explain(parts, pages)}


class ExplainFields(Fields):
    """What was asked at the till."""

    coupon = StringField(
        "Coupon", [InputRequired("Which coupon?"), Length(max=CODE_CHARS_MAX)], description="Its code, or its id."
    )
    customer = StringField(
        "Customer", [Length(max=IDENTIFIER_CHARS_MAX)], description="Mobile, e-mail or any id of whoever showed it."
    )
    till = StringField(
        "Till", [Length(max=NAME_CHARS_MAX)], description="Its code. A part of the till's or store's name finds it, too."
    )
    time = StringField(
        "Time",
        [Length(max=32)],
        description="When it was tried, by your company's clock. Now, if it is left empty.",
        widget=DateTimeLocalInput(),
    )
    amount = StringField("Bill amount", [Length(max=32)], description="What the purchase came to.")
    bill = StringField("Bill number", [Length(max=TRANSACTION_NUMBER_CHARS_MAX)], description="If the till sent one.")

    def validate_amount(self, field: StringField) -> None:
        """A sum of money."""
        if field.data and amount_of(field.data) is None:
            raise ValidationError("That is no sum of money, such as 430 or 430.50.")


class View(Struct, frozen=True):
    """What was found: the tills that may be meant, the answer in words, and whom and what it is about."""

    tills: list[FoundTill]
    answer: explain_words.Answer | None = None
    coupon_id: int | None = None
    code: str = ""
    customer_id: int | None = None


class Explain:
    """Asks about the world as it was; changes nothing."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CUSTOMERS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages
        self._lookups = Lookups(parts, pages)

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """The form; once it is filled in, the answer."""
        form = _form(visit)
        if not visit.query("coupon"):
            self._show(visit, resp, ExplainFields(), View([]))
            return
        question = _question(visit, form, self._parts.clock()) if form.validate() else None
        if question is None:
            self._show(visit, resp, form, View([]))
            return
        if not await self._lookups.is_let(visit, resp, ("coupon", question.name), action="ask why"):
            return
        found = await self._parts.back_office.read(partial(_looked, question))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
        else:
            self._show(visit, resp, form, found, question)

    def _show(
        self, visit: Visit, resp: falcon.asgi.Response, form: Fields, view: View, question: history.Question | None = None
    ) -> None:
        is_past = question is not None and question.now_ms < question.asked_ms
        self._pages.show(
            visit,
            resp,
            "care/explain.html",
            form=form,
            view=view,
            question=question,
            wanted=visit.wanted(),
            as_now=history.AS_NOW if is_past else "",
        )


def amount_of(text: str) -> Decimal | None:
    """A bill's amount as people write it; None when it is none."""
    try:
        amount = Decimal(text.replace(",", "").replace(" ", ""))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 <= amount <= MONEY_MAX else None


def instant_of(text: str, org: Org, default_ms: int) -> int | None:
    """What the field of the time says: epoch milliseconds, as links have it, or the org's wall clock; None for neither."""
    if not text:
        return default_ms
    if text.isascii() and text.isdigit():
        return int(text) if len(text) in _MS_DIGITS and int(text) <= INSTANT_MS_MAX else None
    try:
        at = dt.datetime.fromisoformat(text)
        at_ms = (at if at.tzinfo else at.replace(tzinfo=org.zone)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
    found = (at_ms - dt.datetime.fromtimestamp(0, dt.UTC)) // _MS
    return found if 0 <= found <= INSTANT_MS_MAX else None


def _form(visit: Visit) -> ExplainFields:
    return ExplainFields(Form({name: [value.replace("\0", "")] for name, value in visit.wanted().items()}))


def _question(visit: Visit, form: ExplainFields, clock_ms: int) -> history.Question | None:
    """From the form; None once it says what is wrong. An instant is then shown by the org's clock."""
    org, name = visit.session.org, (form.coupon.data or "").strip()
    now_ms = instant_of((form.time.data or "").strip(), org, clock_ms)
    if now_ms is None:
        form.time.errors = ["That is no time, such as 2031-03-10T18:20."]
        return None
    if form.time.data:
        form.time.data = dt.datetime.fromtimestamp(now_ms // 1000, org.zone).replace(tzinfo=None).isoformat(timespec="seconds")
    at_ms = instant_of(visit.query("redeemed"), org, now_ms)
    return history.Question(
        org=org,
        name=name,
        customer=customers(form.customer.data or "", org),
        till_code=(form.till.data or "").strip(),
        asked_ms=clock_ms,
        now_ms=now_ms,
        at_ms=now_ms if at_ms is None else at_ms,
        amount=amount_of(form.amount.data) if form.amount.data else None,
        transaction_number=(form.bill.data or "").strip(),
    )


def _looked(question: history.Question, tx: ReadTransaction) -> View | Code:
    """Which till is meant, what there was, and what every guard says of it."""
    tills = searching.tills_named(tx, question.org.id, question.till_code) if question.till_code else []
    exact = [till for till in tills if till.code == question.till_code]
    if not exact and len(tills) == 1:
        question = replace(question, till_code=tills[0].code)
    elif not exact and tills:
        return View(tills)
    found = history.look(tx, question)
    if isinstance(found, Code):
        return found
    asked, world = found.asked, found.world
    answer = explain_words.in_words(explain.explain(asked, world), asked, world, _names(tx, asked, world))
    coupon, customer = world.coupon, world.customer
    return View([], answer, coupon.id if coupon else None, coupon.code if coupon else "", customer.id if customer else None)


def _names(tx: ReadTransaction, asked: Asked, world: Found) -> Names:
    """What the places are called that the series names, and where it was asked."""
    place = world.place
    extra = {"TILL": [place.till_id], "STORE": [place.store_id]} if place else {}
    return store.names_in(tx, asked.org.id, world.series, extra)
