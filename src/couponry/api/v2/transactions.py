"""`POST /v2/transactions`: a bill, as far as coupons are concerned with it (supporting APIs 7)."""

from functools import partial
from typing import Annotated, Final

import falcon.asgi
import msgspec
from msgspec import Meta, Raw, Struct, field

from couponry.api import times
from couponry.api.call import Call
from couponry.api.envelopes import E
from couponry.api.operation import GATE_HEADERS, Operation
from couponry.api.parts import Parts
from couponry.api.seats import Seats
from couponry.api.v2.claims import take
from couponry.api.v2.customers import replied
from couponry.api.v2.customers_wire import identifier_of
from couponry.api.v2.requests import Id, amount_of, id_of, is_transaction_number, text_of
from couponry.core.limits import TRANSACTION_REDEMPTIONS_MAX
from couponry.core.model import Org
from couponry.core.sources import is_source
from couponry.core.status import Code
from couponry.store import transactions

_NOT_SENT: Final = (b"", b"null")


class UsedRedemptions(Struct, rename="camel"):
    """What was redeemed for a bill."""

    coupon_redemptions: list[Id] = []


class TransactionBody(Struct, rename="camel"):
    """A bill. `redemptions` may be the list itself, too. The only type that is taken is REGULAR."""

    identifier_type: str = ""
    identifier_value: Id = None
    source: str | None = None
    type: str | None = None
    bill_number: Id = None
    bill_amount: Annotated[Raw, Meta(extra_json_schema={"type": ["number", "string"], "minimum": 0})] = field(default_factory=Raw)
    billing_date: str | None = None
    redemptions: UsedRedemptions | list[Id] | None = None

    def redemption_ids(self) -> set[int]:
        """The redemptions listed, each once; 0 for what cannot be one."""
        listed = self.redemptions.coupon_redemptions if isinstance(self.redemptions, UsedRedemptions) else self.redemptions
        return {id_of(sent) or 0 for sent in listed or ()}


class TransactionCreated(Struct, frozen=True, rename="camel"):
    """The bill's id."""

    created_id: int
    warnings: list[E] = []


_DECODE: Final = msgspec.json.Decoder(TransactionBody).decode

OPERATIONS: Final = (
    Operation(
        "/v2/transactions",
        "post",
        "Report a bill, and the redemptions that it was paid with",
        TransactionCreated,
        body=TransactionBody,
        parameters=GATE_HEADERS,
        on="T",
        refusal_status=400,
        codes=(Code.INVALID_INPUT, Code.INVALID_AMOUNT),
    ),
)


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {"/v2/transactions": Transactions(parts)}


class Transactions:
    """Bills."""

    def __init__(self, parts: Parts) -> None:
        self._seats, self._office = Seats(parts.attribution), parts.back_office

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Report a bill."""
        replied(await self._record(req), TransactionCreated).write(resp)

    async def _record(self, call: Call) -> int | Code:
        taken = await take(call, self._seats, _DECODE, _excess)
        if isinstance(taken, Code):
            return taken
        _, body, seat = taken
        if not is_source(body.source):
            return Code.UNKNOWN_SOURCE
        customer = identifier_of(call, seat.org, body.identifier_type, body.identifier_value)
        if isinstance(customer, Code):
            return customer
        refused = _refusal(body, seat.org)
        if refused:
            return refused
        number = text_of(body.bill_number).strip() if body.bill_number is not None else ""
        act = partial(
            transactions.record,
            org_id=seat.org.id,
            customer=customer,
            redemption_ids=body.redemption_ids(),
            bill_number=number,
        )
        return await self._office.write(act)


def _excess(body: TransactionBody) -> Code | None:
    return Code.BATCH_LIMIT_EXCEEDED if len(body.redemption_ids()) > TRANSACTION_REDEMPTIONS_MAX else None


def _refusal(body: TransactionBody, org: Org) -> Code | None:
    """733 for what is no amount, 629 for a type, number or date that is none."""
    amount = None if bytes(body.bill_amount) in _NOT_SENT else amount_of(body.bill_amount)
    if isinstance(amount, Code):
        return amount
    number = text_of(body.bill_number) if body.bill_number is not None else None
    is_regular = (body.type or "REGULAR").strip().upper() == "REGULAR"
    is_dated = not body.billing_date or times.instant_ms(body.billing_date, org.zone) is not None
    return None if is_regular and is_dated and is_transaction_number(number) else Code.INVALID_INPUT
