"""Redemptions made elsewhere: what a row tells of one, and whether it is taken (upload 2).

A row is judged and taken by the guards and the fold of a redeem, at the instant that it tells of. History is taken as fact: of
the guards only those about whose coupon it is, and about what limits still leave, are asked. Nobody is told of it, so the events
that the plan holds afterwards are nobody's to write.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from couponry.core import redeeming
from couponry.core.commands import Item, Redeem
from couponry.core.dates import local_from_wire, ms_from_local
from couponry.core.fold import Fold
from couponry.core.identifiers import normal_identifier
from couponry.core.limits import (
    CUSTOM_FIELD_CHARS_MAX,
    MONEY_MAX,
    REDEEMED_ELSEWHERE_MS_MIN,
    REDEMPTION_AHEAD_MS_MAX,
    TRANSACTION_NUMBER_CHARS_MAX,
)
from couponry.core.model import Customer, Identifier, Org, Place, Redemption
from couponry.core.problem import Problem
from couponry.core.rules import redeem as rules
from couponry.core.state import State
from couponry.core.status import Code

OWNERSHIP: Final[tuple[rules.Guard, ...]] = (rules.not_revoked, rules.owned_by_customer)
"""C6 and C9. Before the limits, since a redemption that is recorded already has used some of them up."""
LIMITS: Final[tuple[rules.Guard, ...]] = (
    rules.single_use_unused,
    rules.new_to_customer,
    rules.code_limit_left,
    rules.customer_limit_left,
    rules.series_limit_left,
)
"""C14-C17 and C19."""
DUPLICATE: Final = Problem(633, "duplicate redemption")
UPLOADED: Final = {"mobile": "mobile", "email": "email", "externalId": "externalId", "userId": "id"}
"""Kinds of identifiers, by the columns of an upload that they stand in."""

_INT64_MAX: Final = 2**63 - 1
_INT64_DIGITS: Final = 19
_AMOUNT: Final = re.compile(r"[0-9]{1,16}(\.[0-9]{1,9})?", re.ASCII)

Use = tuple[int, int, int]
"""A coupon, a customer, and the instant of a redemption: the same three twice are one redemption told twice."""


class Told(Struct, frozen=True, gc=False):
    """A redemption as a row tells of it: of the right shape, but not yet judged. `till` is an id or a code."""

    customer: Identifier | None
    item: Item
    redeemed_ms: int
    till: int | str
    amount: Decimal | None = None
    bill_number: str = ""
    bill_id: int | None = None

    def claim(self, org_id: int, place: Place, request_id: str = "") -> Redeem:
        """The redeem that would have told of it when it happened."""
        who = (self.customer,) if self.customer else ()
        bill = self.amount, self.bill_number, self.redeemed_ms
        return Redeem(org_id, place, who, (self.item,), *bill, request_id)


class UploadedRows:
    """What rows of an upload tell of, whose columns have these names (upload 2). `userId` and `couponId` win over others."""

    def __init__(self, names: Collection[str], org: Org, now_ms: int) -> None:
        self._org, self._now_ms = org, now_ms
        self._customer = "userId" if "userId" in names else next((name for name in UPLOADED if name in names), "")
        self._by_id = "couponId" in names

    def told(self, cells: Mapping[str, str]) -> Told | Problem:
        """What one row tells of, its cells by name; 629 when it has not the shape of a redemption."""
        redeemed_ms, till = _whole(cells["redeemedDateInMillis"]), _whole(cells["redeemedAt"])
        if redeemed_ms is None or not _is_past(redeemed_ms, self._now_ms):
            return _invalid("redeemedDateInMillis is no instant of the past in epoch milliseconds")
        if till is None:
            return _invalid("redeemedAt is no till id")
        coupon_id = _whole(cells["couponId"]) if self._by_id else None
        if self._by_id and coupon_id is None:
            return _invalid("couponId is no number")
        bill_text, number, details = (cells.get(name, "").strip() for name in ("billId", "billNumber", "details"))
        bill_id = _whole(bill_text) if bill_text else None
        if bill_text and bill_id is None:
            return _invalid("billId is no number")
        if len(number) > TRANSACTION_NUMBER_CHARS_MAX:
            return _invalid(f"billNumber has over {TRANSACTION_NUMBER_CHARS_MAX} characters")
        if len(details) > CUSTOM_FIELD_CHARS_MAX:
            return _invalid(f"details has over {CUSTOM_FIELD_CHARS_MAX} characters")
        kind = self._customer
        customer = _identifier(UPLOADED[kind], cells[kind], self._org) if kind else None
        code = None if self._by_id else cells.get("couponCode", "")
        item = Item(code, coupon_id, custom_fields=(("details", details),) if details else ())
        return Told(customer, item, redeemed_ms, till, None, number, bill_id)


def told_by_import(cells: Mapping[str, str], org: Org, now_ms: int) -> Told | Problem:
    """A row of an import: `code, customerExternalId` or `customerMobile`, `redeemedOn, tillCode, billNumber, billAmount`."""
    redeemed_ms, till = _instant(cells["redeemedOn"], org), cells["tillCode"].strip()
    if redeemed_ms is None or not _is_past(redeemed_ms, now_ms):
        return _invalid("redeemedOn is no instant of the past")
    number, money = cells.get("billNumber", "").strip(), cells.get("billAmount", "").strip()
    if len(number) > TRANSACTION_NUMBER_CHARS_MAX:
        return _invalid(f"billNumber has over {TRANSACTION_NUMBER_CHARS_MAX} characters")
    amount = Decimal(money) if _AMOUNT.fullmatch(money) else None
    if money and (amount is None or amount > MONEY_MAX):
        return _invalid("billAmount is no amount of money")
    external_id = cells.get("customerExternalId", "").strip()
    named = ("externalId", external_id) if external_id else ("mobile", cells.get("customerMobile", ""))
    return Told(_identifier(*named, org), Item(cells["code"]), redeemed_ms, till, amount, number)


class _Lasting(Fold):
    """A fold that takes nothing back: a row is judged before it is counted."""

    def put(self, table: dict[Any, Any], key: object, value: object) -> None:
        """Set an entry of the state."""
        table[key] = value


class Recording:
    """Takes redemptions made elsewhere, one after the other, over a state; `plan` holds their rows.

    `made` are those recorded before. Those of other series than `series_id` are unknown coupons, where one is given.
    """

    def __init__(self, state: State, org: Org, made: set[Use], series_id: int | None = None) -> None:
        self.bill_ids: dict[int, int] = {}
        self._fold = _Lasting(state)
        self._org, self._made, self._series_id = org, made, series_id
        self.plan = self._fold.plan

    def take(self, told: Told, claim: Redeem) -> Problem | None:
        """Count and plan one redemption, or say why not: customer, C2-C4, C6, C9, 633, then C14-C17 and C19."""
        customer = self._customer(told)
        if isinstance(customer, Code):
            return _refused(customer)
        attempt = self._attempt(claim, customer)
        if isinstance(attempt, Code):
            return _refused(attempt)
        code = _first(OWNERSHIP, attempt)
        if code is None and (attempt.coupon.id, customer.id, told.redeemed_ms) in self._made:
            return DUPLICATE
        code = code or _first(LIMITS, attempt)
        if code:
            return _refused(code)
        redemption = self._recorded(attempt)
        self._made.add((redemption.coupon_id, customer.id, told.redeemed_ms))
        if told.bill_id is not None:
            self.bill_ids[redemption.id] = told.bill_id
        return None

    def _customer(self, told: Told) -> Customer | Code:
        """Whom a row means: 701 for nobody, 721 for one who is gone. Neither fraud nor a label undoes what has happened."""
        customer = self._fold.state.customers.get(told.customer) if told.customer else None
        if customer is None:
            return Code.CUSTOMER_NOT_FOUND
        return Code.INVALID_CUSTOMER if customer.gone else customer

    def _attempt(self, claim: Redeem, customer: Customer) -> rules.Attempt | Code:
        """What the guards may read, or 719, 715 or 788."""
        (item,) = claim.items
        coupon = redeeming.find(self._fold, item, customer)
        refused = rules.exists(item, coupon, self._org, is_check=False)
        if coupon is None or refused:
            return refused or Code.UNKNOWN_COUPON
        if self._series_id not in (None, coupon.series_id):
            return Code.UNKNOWN_COUPON
        series = self._fold.state.series[coupon.series_id]
        if series is None:
            return Code.SERIES_UNREADABLE
        return redeeming.attempt_of(self._fold, self._org, claim, item, customer, coupon, series)

    def _recorded(self, attempt: rules.Attempt) -> Redemption:
        """Take it as a redeem does, at the instant that it happened."""
        state = self._fold.state
        now_ms, state.now_ms = state.now_ms, attempt.at_ms
        redemption = redeeming.take(self._fold, attempt)
        state.now_ms = now_ms
        return redemption


def _first(guards: Sequence[rules.Guard], attempt: rules.Attempt) -> Code | None:
    for guard in guards:
        code = guard(attempt)
        if code:
            return code
    return None


def _refused(code: Code) -> Problem:
    return Problem(code.number, code.message)


def _invalid(detail: str) -> Problem:
    return Problem(Code.INVALID_INPUT.number, Code.INVALID_INPUT.message, detail)


def _identifier(kind: str, text: str, org: Org) -> Identifier | None:
    return normal_identifier(kind, text, org.country_code, org.settings.mobile_digits)


def _whole(text: str) -> int | None:
    """A whole number that a column can hold."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _INT64_DIGITS):
        return None
    number = int(digits)
    return number if number <= _INT64_MAX else None


def _instant(text: str, org: Org) -> int | None:
    """Epoch milliseconds as they are, a date to the second."""
    number = _whole(text)
    if number is not None:
        return number
    try:
        return ms_from_local(local_from_wire(text, org.zone), org.zone)
    except (ValueError, OverflowError):
        return None


def _is_past(at_ms: int, now_ms: int) -> bool:
    """Whether there can have been a redemption: not in the days of seconds that were taken for milliseconds, hardly ahead."""
    return REDEEMED_ELSEWHERE_MS_MIN <= at_ms <= now_ms + REDEMPTION_AHEAD_MS_MAX
