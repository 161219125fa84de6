"""Resend: one message for the outbox, and nothing else (v1.1-coupon 2)."""

from couponry.core.commands import Resend
from couponry.core.fold import Fold
from couponry.core.model import Coupon, Customer, Org
from couponry.core.plan import Event, Refusal, ResendAnswer
from couponry.core.redeeming import attempt_of, find
from couponry.core.rules import resend as rules
from couponry.core.rules.issue import customer_refusal
from couponry.core.rules.redeem import well_formed
from couponry.core.rules.sending import unsendable
from couponry.core.status import Code


def resend(fold: Fold, org: Org, command: Resend) -> ResendAnswer:
    """The customer first, then the coupon; whoever is delivered to is read when the message is."""
    (item,) = command.items
    matched = fold.matched(command.customer)
    refused = customer_refusal(org, matched)
    customer = None if refused else matched[0]
    coupon = find(fold, item, customer) if customer else None
    code = refused or _judged(fold, org, command, customer, coupon)
    if code or not (customer and coupon):
        status = code or Code.UNKNOWN_COUPON
        fold.plan.refusals.append(_trace(command, status, customer, coupon))
        return ResendAnswer(status, coupon.id if coupon else -1, coupon.code if coupon else (item.code or "").strip())
    fold.plan.events.append(Event("ResendMessage", coupon.id, customer.id, command.request_id))
    fold.keep()
    return ResendAnswer(Code.RESENT, coupon.id, coupon.code)


def _judged(fold: Fold, org: Org, command: Resend, customer: Customer | None, coupon: Coupon | None) -> Code | None:
    """702, 719, 788, then the guards."""
    (item,) = command.items
    if customer is None or coupon is None:
        return well_formed(item) or Code.UNKNOWN_COUPON
    series = fold.state.series[coupon.series_id]
    if series is None:
        return Code.SERIES_UNREADABLE
    refused = rules.refusal(attempt_of(fold, org, command, item, customer, coupon, series))
    template = org.settings.resend_template or series.terms.sms_template
    return refused or unsendable(org, command, customer.channel, (template, series.terms.short_sms_template))


def _trace(command: Resend, status: Code, customer: Customer | None, coupon: Coupon | None) -> Refusal:
    return Refusal(
        status=status,
        code_sent=coupon.code if coupon else (command.items[0].code or "").strip(),
        coupon_id=coupon.id if coupon else None,
        series_id=coupon.series_id if coupon else None,
        customer_id=customer.id if customer else None,
        till_id=command.place.till_id,
        transaction_number="",
        amount=None,
        at_ms=None,
        request_id=command.request_id,
        store_id=command.place.store_id,
    )
