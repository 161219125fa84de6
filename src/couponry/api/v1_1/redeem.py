"""`POST /v1.1/coupon/redeem` (v1.1-coupon 3): each item is a redeem of one coupon, whatever becomes of the others."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any, Final

import falcon.asgi
from msgspec import Struct

from couponry.api import times
from couponry.api.call import Call, Reply
from couponry.api.hooks import effects
from couponry.api.hooks.redeeming import Redeemed, Redeeming
from couponry.api.operation import Operation
from couponry.api.parts import Parts
from couponry.api.seats import Seat, Seats
from couponry.api.v1_1 import bodies, singly, statuses
from couponry.api.v1_1.bodies import CustomerBody, Nothing, Sent, Text
from couponry.api.v1_1.offers import amount_shown
from couponry.api.v1_1.tree import NOTHING, Entries, Listed, Node, Tree, truth
from couponry.api.v2 import claims, requests
from couponry.core.codes import CodeCase, shown
from couponry.core.commands import Item, Redeem
from couponry.core.limits import REDEEM_ITEMS_MAX
from couponry.core.plan import Answer, ItemOutcome, Outcome
from couponry.core.status import Code
from couponry.core.validation import Vault

OPERATIONS: Final[tuple[Operation, ...]] = ()
_CENT: Final = Decimal("0.01")


class TransactionBody(Struct):
    """The bill."""

    number: Text = None
    amount: Any = None


class FieldBody(Struct):
    """One custom field."""

    name: Text = None
    value: Any = None


class FieldsBody(Struct):
    """Custom fields, stored on the redemption."""

    field: FieldBody | list[FieldBody] | Nothing = None


class ItemBody(Struct):
    """One coupon, by code or id."""

    code: Text = None
    id: Text = None
    customer: CustomerBody | Nothing = None
    transaction: TransactionBody | list[TransactionBody] | Nothing = None
    validation_code: Text = None
    validation_type: Text = None
    redemption_time: Text = None
    custom_fields: FieldsBody | list[FieldBody] | Nothing = None

    @property
    def bill(self) -> TransactionBody:
        """The one transaction, or an empty one."""
        sent = self.transaction
        return sent if isinstance(sent, TransactionBody) else sent[0] if sent else TransactionBody()


class RedeemBody(Struct):
    """What `root` holds."""

    coupon: ItemBody | list[ItemBody] | Nothing = None


class Asked(Struct, frozen=True):
    """An item as it was sent, whom it is for, and the command that it became, or why it became none."""

    item: ItemBody
    customer: Sent
    command: Redeem | Code


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {"/v1.1/coupon/redeem": RedeemSingly(Seats(parts.attribution), parts.redeeming, parts.vault)}


class RedeemSingly:
    """Redeem 1-100 coupons, each by itself."""

    def __init__(self, seats: Seats, redeeming: Redeeming, vault: Vault) -> None:
        self._seats = seats
        self._redeeming = redeeming
        self._vault = vault

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge and redeem, item by item."""
        (await self._reply(req)).write(resp)

    async def _reply(self, call: Call) -> Reply:
        taken = await bodies.body_of(call, self._seats, RedeemBody, _excess)
        if isinstance(taken, Code):
            return call.wire.failure(taken)
        raw, body, seat = taken
        asked = self._asked(call, seat, raw, bodies.entries_of(body.coupon))
        if isinstance(asked, Code):
            return call.wire.failure(asked)
        commands = await self._redeeming.ask_ahead(seat.org, [one.command for one in asked])
        results = await singly.submit(commands, partial(self._redeeming.submit_with_effects, seat.org))
        return call.wire.failure(results) if isinstance(results, Code) else _answered(call, asked, results)

    def _asked(self, call: Call, seat: Seat, raw: bytes, items: list[ItemBody]) -> list[Asked] | Code:
        key = claims.idempotency_key(call, raw)
        if not items or isinstance(key, Code):
            return key if isinstance(key, Code) else Code.MALFORMED
        customers = [_customer_of(call, item) for item in items]
        commands = [self._command(call, seat, item, sent) for item, sent in zip(items, customers, strict=True)]
        return [Asked(*one) for one in zip(items, customers, singly.keyed(commands, key), strict=True)]

    def _command(self, call: Call, seat: Seat, item: ItemBody, sent: Sent) -> Redeem | Code:
        org, bill = seat.org, item.bill
        coupon = self._coupon(org.id, item)
        when, bill_number = bodies.text_of(item.redemption_time), bodies.text_of(bill.number)
        at_ms = times.local_ms(when, seat.zone) if when else None
        if isinstance(coupon, Code) or (when and at_ms is None) or not requests.is_transaction_number(bill_number):
            return Code.INVALID_INPUT
        amount = bodies.amount_of(bill.amount)
        if isinstance(amount, Code):
            return amount
        customer = bodies.customer_of(call, org, sent)
        return Redeem(org.id, seat.till.place, customer, (coupon,), amount, bill_number, at_ms, call.request_id)

    def _coupon(self, org_id: int, item: ItemBody) -> Item | Code:
        coupon_id, fields = requests.coupon_id_of(item.id), _fields_of(item.custom_fields)
        if isinstance(coupon_id, Code) or isinstance(fields, Code):
            return Code.INVALID_INPUT
        code = None if item.code is None or (item.code == "" and coupon_id is not None) else str(item.code)
        validation_mac = self._vault.mac(org_id, bodies.text_of(item.validation_code))
        by_missed_call = bodies.text_of(item.validation_type).strip().upper() == "MISSED_CALL"
        return Item(code, coupon_id, validation_mac, by_missed_call, fields)


def _customer_of(call: Call, item: ItemBody) -> Sent:
    """The item's own customer, else the one in the query."""
    sent = item.customer.sent() if item.customer else ()
    return sent if any(value for _, value in sent) else bodies.query_identifiers(call)


def _excess(body: RedeemBody) -> Code | None:
    return Code.INVALID_INPUT if len(bodies.entries_of(body.coupon)) > REDEEM_ITEMS_MAX else None


def _fields_of(sent: FieldsBody | list[FieldBody] | Nothing) -> tuple[tuple[str, str], ...] | Code:
    listed = bodies.entries_of(sent.field if isinstance(sent, FieldsBody) else sent)
    return requests.custom_fields_of({bodies.text_of(field.name): bodies.text_of(field.value) for field in listed if field.name})


def _answered(call: Call, asked: Sequence[Asked], results: Sequence[Redeemed | Code]) -> Reply:
    case = claims.code_case(call)
    codes, coupons = [], []
    for one, result in zip(asked, results, strict=True):
        code, coupon = _shown(one, result, case)
        codes.append(code)
        coupons.append(coupon)
    overall = statuses.overall([code in statuses.SUCCESSES for code in codes])
    payload: Tree = {"coupons": {"coupon": Entries(coupons)}}
    return call.wire.reply(payload, overall, singly.headers_for(results, codes))


def _shown(one: Asked, result: Redeemed | Code, case: CodeCase) -> tuple[Code, Node]:
    """An item's code, and the item as it is answered."""
    redeemed = Redeemed(Outcome(Answer(result))) if isinstance(result, Code) else result
    answer = redeemed.outcome.answer
    assert isinstance(answer, Answer), "a redeem is answered by an Answer"
    sent_code = bodies.text_of(one.item.code).strip()
    outcome = answer.items[0] if answer.items else ItemOutcome(answer.status, sent_code)
    is_redeemed = outcome.redemption_id > 0
    coupon: dict[str, Node] = {"customer": bodies.customer_shown(answer.customer, one.customer)}
    if is_redeemed:
        coupon |= {"redemption_id": str(outcome.redemption_id), "redemptionId": str(outcome.redemption_id)}
    coupon["code"] = shown(outcome.code_shown, case)
    offer = outcome.offer if is_redeemed else None
    if offer:
        coupon |= {"discount_code": offer.discount_code, "series_code": str(offer.series_id), "series_info": NOTHING}
    coupon["is_absolute"] = truth(offer is not None and offer.discount_type == "ABS")
    if offer:
        coupon["coupon_value"] = amount_shown(offer.discount_value)
    coupon["transaction"] = _bill_shown(one)
    coupon["side_effects"] = Listed([effects.shown(effect) for effect in redeemed.side_effects])
    warnings = (*outcome.warnings, *redeemed.warnings)
    coupon["item_status"] = statuses.item_status(outcome.status, days=outcome.days_left, warnings=warnings)
    return outcome.status, coupon


def _bill_shown(one: Asked) -> Tree:
    """The number as sent, the amount with two decimals if it is one."""
    bill, amount = one.item.bill, None if isinstance(one.command, Code) else one.command.amount
    written = bodies.text_of(bill.amount) if amount is None else f"{amount.quantize(_CENT, ROUND_HALF_UP):f}"
    return {"amount": written, "number": bodies.text_of(bill.number)}
