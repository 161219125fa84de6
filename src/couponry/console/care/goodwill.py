"""A goodwill coupon is an apology that costs money: so many a day for each person, and above an amount a second person."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final

import falcon.asgi
import msgspec
from msgspec import Struct
from wtforms import Form as Fields
from wtforms import TextAreaField
from wtforms.validators import InputRequired, Length

from couponry.console.care import once
from couponry.console.care.acting import NO_TILL, Refusal
from couponry.console.care.lookups import Lookups
from couponry.console.carrying import Carried
from couponry.console.fields import Choice
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core import care, expiry, terms_words
from couponry.core.care_words import why_not
from couponry.core.commands import IdempotencyKey, Issue
from couponry.core.idempotency import explicit_digest, fingerprint_of
from couponry.core.limits import ISSUE_NOTE_CHARS_MAX, REASON_CHARS_MAX
from couponry.core.model import Customer, Org, Place
from couponry.core.plan import IssueAnswer
from couponry.core.problem import Problem
from couponry.core.roles import Permission
from couponry.core.second_person import needs_second_person
from couponry.core.status import Code
from couponry.store import approvals, audit, tallies
from couponry.store import care as store
from couponry.store.approvals import Approval
from couponry.store.audit import Actor
from couponry.store.care import Head
from couponry.store.customers import read_customer
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.registry import read_org

KIND: Final = "goodwill"
_GIVEN: Final = frozenset({Code.PROCESSED, Code.RESENT})

assert REASON_CHARS_MAX <= ISSUE_NOTE_CHARS_MAX, "the reason is kept with the coupon"


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The page that asks, and gives."""
    return {"/care/customers/{customer_id}/goodwill": Goodwill(parts, pages)}


class View(Struct, frozen=True):
    """Whom a coupon is for, and the series that there are for it."""

    customer: Customer
    series: Sequence[Head]


class Begun(Struct, frozen=True):
    """An issue that may go to the ledger, and what to give back when it is refused: the day that it was counted in."""

    command: Issue
    day_ms: int


class Wanted(Struct, frozen=True, rename="camel"):
    """What an approval keeps, for whoever carries it out."""

    customer_id: int
    series_id: int
    reason: str


class GoodwillFields(Fields):
    """Which coupon, and why."""

    series = Choice(
        "Coupon", {}, [InputRequired("Choose one.")], description="Series that were made for goodwill, and that run now."
    )
    reason = TextAreaField(
        "Reason",
        [InputRequired("Say why."), Length(max=REASON_CHARS_MAX)],
        description="What went wrong, in a sentence. It is kept with the coupon and in the audit log.",
    )


class Goodwill:
    """One coupon for one customer."""

    NEEDS = NEEDS_TO_POST = Permission.CARE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages
        self._lookups = Lookups(parts, pages)

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, customer_id: str) -> None:
        """Which series there are, and how many coupons the person may still give today."""
        view = await self._view(visit, resp, customer_id)
        if view:
            self._show(visit, resp, view, _form(visit, view, None))

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, customer_id: str) -> None:
        """Issue it, or ask for a second person, or say why not."""
        view = await self._view(visit, resp, customer_id)
        if not view:
            return
        form = _form(visit, view, visit.form)
        if not form.validate():
            self._show(visit, resp, view, form, status=422)
            return
        done = await self._done(visit, view, form)
        if isinstance(done, Carried):
            self._pages.go(visit, resp, done.path, done.notice)
        else:
            self._show(visit, resp, view, form, problem=done.why, status=409)

    async def _view(self, visit: Visit, resp: falcon.asgi.Response, customer_id: str) -> View | None:
        wanted = number_of(customer_id)
        if wanted is not None and not await self._lookups.is_let(visit, resp, ("customer", wanted)):
            return None
        found = None if wanted is None else await self._parts.back_office.read(partial(_viewed, visit, wanted))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
        elif found is None:
            self._pages.missing(visit, resp, "customer")
        else:
            return found
        return None

    async def _done(self, visit: Visit, view: View, form: GoodwillFields) -> Carried | Refusal:
        begun = await self._parts.back_office.write(partial(_begun, visit, view, form))
        if isinstance(begun, Code):
            return Refusal(why_not(begun))
        if not isinstance(begun, Begun):
            return begun
        done = _answered((await self._parts.ledger.submit(begun.command)).answer)
        if isinstance(done, Code):
            who = (visit.org_id, visit.session.person.id)
            await self._parts.back_office.write(lambda tx: tallies.give_back(tx, who, KIND, begun.day_ms))
            return Refusal(why_not(done))
        return done

    def _show(
        self, visit: Visit, resp: falcon.asgi.Response, view: View, form: Fields, *, problem: str = "", status: int = 200
    ) -> None:
        org = visit.session.org
        context = {"it": view.customer, "form": form, "problem": problem, "has_series": bool(view.series)}
        limits = {"daily_max": org.settings.goodwill_daily_max, "above": org.settings.goodwill_approval_above}
        token = once.new_token(self._parts, visit)
        self._pages.show(visit, resp, "care/goodwill.html", status=status, token=token, **limits, **context)


class GoodwillCarrier:
    """Issues what a second person approved. The ledger knows the approval's key, so that it is issued once."""

    def carry_out(self, _tx: WriteTransaction, _actor: Actor, _approval: Approval) -> Carried | Problem | None:
        """Nothing here: the ledger does it, after the decision."""
        return None

    async def follow_up(self, parts: ConsoleParts, actor: Actor, approval: Approval) -> Carried | Problem | Code:
        """Issue it now."""
        wanted = msgspec.convert(approval.request, Wanted)
        found = await parts.back_office.read(partial(_order_approved, actor, approval, wanted))
        if not isinstance(found, Issue):
            return found
        done = _answered((await parts.ledger.submit(found)).answer)
        if isinstance(done, Code):
            return done if done.is_service_failure else Problem("refused", why_not(done))
        return done


def _viewed(visit: Visit, customer_id: int, tx: ReadTransaction) -> View | None:
    record = read_customer(tx, visit.org_id, "id", str(customer_id))
    if isinstance(record, Code):
        return None
    return View(record.customer, store.goodwill_series(tx, visit.org_id, visit.now_ms))


def _form(visit: Visit, view: View, sent: Any) -> GoodwillFields:  # noqa: ANN401 - what WTForms reads
    form, currency = GoodwillFields(sent), visit.session.org.currency
    form.series.offer(
        {
            str(head.id): f"{head.series.terms.description}: {terms_words.headline(head.series.terms, currency)}"
            for head in view.series
            if head.series
        }
    )
    return form


def _begun(visit: Visit, view: View, form: GoodwillFields, tx: WriteTransaction) -> Begun | Carried | Refusal:
    """Count it and write it down; the order for the ledger, or that a second person was asked."""
    org, actor, who = visit.session.org, visit.actor(), (visit.org_id, visit.session.person.id)
    head = next(head for head in view.series if str(head.id) == form.series.data)
    place, back = store.desk(tx, org), f"/care/customers/{view.customer.id}"
    if place is None or head.series is None:
        return Refusal(NO_TILL)
    if not once.take(tx, visit):
        return Carried(back, once.ALREADY)
    day_ms = _day_ms(org, visit.now_ms)
    if not tallies.count(tx, who, KIND, day_ms, org.settings.goodwill_daily_max):
        return Refusal(f"You have given all {org.settings.goodwill_daily_max} goodwill coupons of today. Ask a colleague.")
    wanted = Wanted(view.customer.id, head.id, form.reason.data or "")
    amount = care.worst_case(head.series.terms)
    if needs_second_person(amount, org.settings.goodwill_approval_above):
        asked_id = _ask(tx, actor, wanted, head.series.terms.description, amount)
        return Carried(back, f"A second person has to approve this. It waits as approval {asked_id}.")
    told = {"series": head.id, "offer": head.series.terms.description, "reason": wanted.reason, "worth": amount}
    audit.record(tx, actor, "asked: goodwill", ("customer", view.customer.id), after=told)
    return Begun(_order(org, place, wanted, f"form-{once.digest(visit.form.text('token'))}", visit.request_id), day_ms)


def _ask(tx: WriteTransaction, actor: Actor, wanted: Wanted, offer: str, amount: Decimal | None) -> int:
    summary = f"Goodwill for customer {wanted.customer_id}: {offer}. {wanted.reason}"
    request = msgspec.to_builtins(wanted)
    return approvals.ask(
        tx, actor, kind=KIND, subject=("customer", wanted.customer_id), amount=amount, summary=summary, request=request
    )


def _order_approved(actor: Actor, approval: Approval, wanted: Wanted, tx: ReadTransaction) -> Issue | Problem | Code:
    org = read_org(tx, actor.org_id)
    if isinstance(org, Problem):
        return org
    place = store.desk(tx, org)
    return _order(org, place, wanted, approval.key, actor.request_id) if place else Problem("conflict", NO_TILL)


def _order(org: Org, place: Place, wanted: Wanted, key: str, request_id: str) -> Issue:
    """The key makes a repeat get the first answer again."""
    details = msgspec.json.encode({"sourceType": KIND.upper(), "reason": wanted.reason}).decode()
    fingerprint = fingerprint_of(str(wanted.customer_id).encode(), str(wanted.series_id).encode())
    return Issue(
        org_id=org.id,
        place=place,
        customer=(("id", str(wanted.customer_id)),),
        series_ids=(wanted.series_id,),
        details=details,
        request_id=request_id,
        key=IdempotencyKey(explicit_digest("console", key), fingerprint),
    )


def _answered(answer: object) -> Carried | Code:
    """Where the coupon is, or why there is none."""
    assert isinstance(answer, IssueAnswer), "an issue is answered by nothing else"
    for item in answer.items:
        if item.status not in _GIVEN:
            return item.status
        if item.coupons:
            text = (
                "The customer has it already: its message goes out again."
                if item.status is Code.RESENT
                else "The coupon is issued."
            )
            untold = " Nobody could be told: read the code out." if Code.NOT_COMMUNICATED in item.warnings else ""
            return Carried(f"/care/coupons/{item.coupons[0].coupon_id}", text + untold)
    return answer.status


def _day_ms(org: Org, now_ms: int) -> int:
    """When the org's day began."""
    begun = expiry.local_time(now_ms // 1000, org.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return int(begun.timestamp()) * 1000
