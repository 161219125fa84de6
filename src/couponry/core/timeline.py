"""One coupon's life as one list, newest first, made of what several tables know of it.

Each source is read newest first, so many rows at a time; a cursor says how far each has been read. Rows come in the order of
their ids, which is almost that of their times: a page is in order, and nothing is lost or shown twice between two pages.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal

from msgspec import Struct

from couponry.core.advice import advice
from couponry.core.deliveries import Channel, Delivery, DeliveryState
from couponry.core.findings import money
from couponry.core.model import Coupon
from couponry.core.searching import masked
from couponry.core.status import Code

Tone = Literal["good", "bad", "warn", "calm"]
SOURCES: Final = "dfuax"
"""Deliveries, refusals, uses (redemptions), actions in the console, changes of the expiry."""

_CURSOR: Final = re.compile(r"[dfuaxt][0-9]{1,16}")
_MESSAGES: Final[Mapping[str, str]] = {
    "IssueMessage": "Message about the issue",
    "ResendMessage": "Message sent again",
    "ReminderSms": "Reminder",
    "ReminderEmail": "Reminder",
}


class Happening(Struct, frozen=True):
    """One line. `ask` are the parameters of "why was it refused?", where that can be asked."""

    at_ms: int
    what: str
    tone: Tone = "calm"
    note: str = ""
    by: str = ""
    customer_id: int | None = None
    ask: Mapping[str, str] | None = None


class Unit(Struct, frozen=True):
    """A row of one source, with all that it tells of."""

    source: str
    id: int
    at_ms: int
    happenings: tuple[Happening, ...]


class Page(Struct, frozen=True):
    """What is to be shown, and the cursor to go on with; None at the beginning of the coupon's life."""

    happenings: list[Happening]
    next: str | None


class Used(Struct, frozen=True):
    """A redemption with its shop, and its reversal if there was one."""

    id: int
    use_number: int
    customer_id: int
    redeemed_ms: int
    transaction_number: str
    amount: Decimal | None
    till: str
    store: str
    reversed_ms: int | None
    reversed_till: str
    reason: str


class Refused(Struct, frozen=True):
    """A refusal, and what was asked."""

    id: int
    code: Code
    customer_id: int | None
    till: str
    transaction_number: str
    amount: Decimal | None
    at_ms: int | None
    refused_ms: int


class Done(Struct, frozen=True):
    """What somebody did in the console."""

    id: int
    done_ms: int
    actor: str
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def cursor_of(text: str) -> dict[str, int]:
    """From the address; what is no cursor is the newest page."""
    parts = text.split(".") if text else []
    return {part[0]: int(part[1:]) for part in parts} if all(_CURSOR.fullmatch(part) for part in parts) else {}


def page_of(sources: Sequence[Sequence[Unit]], own: Sequence[Happening], cursor: Mapping[str, int], limit: int) -> Page:
    """The newest rows of all sources, each of which holds one row more than `limit` if there are more."""
    left = [list(source) for source in sources]
    taken: list[Unit] = []
    after = {source: cursor[source] for source in cursor if source != "t"}
    while len(taken) < limit and any(left):
        newest = max((source for source in left if source), key=lambda source: source[0].at_ms)
        unit = newest.pop(0)
        taken.append(unit)
        after[unit.source] = unit.id
    is_last = not any(left)
    until_ms = cursor.get("t")
    since_ms = min((unit.at_ms for unit in taken), default=0)
    shown = [line for unit in taken for line in unit.happenings]
    shown += [line for line in own if (until_ms is None or line.at_ms < until_ms) and (is_last or line.at_ms >= since_ms)]
    shown.sort(key=lambda line: line.at_ms, reverse=True)
    text = ".".join(f"{source}{at}" for source, at in [*sorted(after.items()), ("t", since_ms)])
    return Page(shown, None if is_last else text)


def of_coupon(coupon: Coupon, created_ms: int, issued_at: str, revoked_ms: int | None) -> list[Happening]:
    """What the coupon's own row tells."""
    own = [Happening(created_ms, "Made")]
    if coupon.issued_ms is not None:
        how = "Came to the customer by a redemption" if coupon.issued_by_redemption else "Issued"
        where = f" at {issued_at}" if issued_at else ""
        own.append(Happening(coupon.issued_ms, how + where, "good", customer_id=coupon.customer_id))
    if revoked_ms is not None:
        own.append(Happening(revoked_ms, "Revoked", "bad", "It can never be redeemed again."))
    return own


def of_use(use: Used, currency: str) -> Unit:
    """Redeemed, and reversed."""
    bill = f"Bill {use.transaction_number}" if use.transaction_number else "No bill number"
    amount = "" if use.amount is None else f", {currency} {money(use.amount)}"
    lines = [
        Happening(
            use.redeemed_ms, f"Redeemed at {use.store}, till {use.till}", "good", f"{bill}{amount}.", customer_id=use.customer_id
        )
    ]
    reason = f"Reason: {spoken(use.reason)}." if use.reason else "No reason was given."
    if use.reversed_ms is not None:
        till = f" at till {use.reversed_till}" if use.reversed_till else ""
        lines.append(Happening(use.reversed_ms, f"Redemption reversed{till}", "warn", f"{bill}. {reason} The use came back."))
    elif use.reason:
        lines.append(
            Happening(use.redeemed_ms, "Purchase returned, use kept", "warn", f"{bill}. {reason} The use stays consumed.")
        )
    return Unit("u", use.use_number, use.redeemed_ms, tuple(lines))


def of_refusal(refusal: Refused, coupon_id: int) -> Unit:
    """Refused, in words."""
    ask = {
        "coupon": str(coupon_id),
        "till": refusal.till,
        "time": str(refusal.refused_ms),
        "redeemed": str(refusal.at_ms or ""),
        "amount": "" if refusal.amount is None else money(refusal.amount),
        "bill": refusal.transaction_number,
        "customer": "" if refusal.customer_id is None else f"#{refusal.customer_id}",
    }
    where = f" at till {refusal.till}" if refusal.till else ""
    line = Happening(
        refusal.refused_ms, f"Refused{where}", "bad", advice(refusal.code).meaning, customer_id=refusal.customer_id, ask=ask
    )
    return Unit("f", refusal.id, refusal.refused_ms, (line,))


def of_delivery(delivery: Delivery) -> Unit:
    """Put on its way, and what came of it."""
    what = _MESSAGES.get(delivery.event, "Message")
    at_ms = delivery.happened_ms
    came_of_it = result(delivery)
    lines = [Happening(at_ms, f"{what}: {channel(delivery)}", "calm", "" if delivery.done_ms else came_of_it)]
    if delivery.done_ms is not None:
        lines.append(Happening(delivery.done_ms, f"{what}: {delivery.state}", tone_of(delivery), came_of_it))
    elif delivery.state is not DeliveryState.WAITING:
        lines = [Happening(at_ms, f"{what}: {delivery.state}", tone_of(delivery), came_of_it)]
    return Unit("d", delivery.id, at_ms, tuple(lines))


def of_action(done: Done) -> Unit:
    """What was asked for in the console, by whom, and why."""
    told = "; ".join(f"{name} {value}" for values in (done.before, done.after) for name, value in (values or {}).items() if value)
    return Unit(
        "a", done.id, done.done_ms, (Happening(done.done_ms, f"{done.action.capitalize()}", "calm", told, by=done.actor),)
    )


def of_change(change_id: int, at_ms: int) -> Unit:
    """A changed expiry, whoever changed it; to what is not kept."""
    return Unit("x", change_id, at_ms, (Happening(at_ms, "Expiry changed", "calm"),))


def channel(delivery: Delivery) -> str:
    """`SMS to ••••0001`."""
    by = {Channel.SMS: "SMS", Channel.EMAIL: "e-mail"}.get(Channel(delivery.target_id)) if delivery.target_id < 0 else None
    address = masked("email" if "@" in (delivery.address or "") else "mobile", delivery.address)
    return f"{by or 'message'}{f' to {address}' if address else ''}"


def tone_of(delivery: Delivery) -> Tone:
    """Of a badge."""
    match delivery.state:
        case DeliveryState.DELIVERED:
            return "good"
        case DeliveryState.FAILED:
            return "bad"
        case DeliveryState.SKIPPED:
            return "warn"
        case DeliveryState.WAITING:
            return "calm"


def result(delivery: Delivery) -> str:
    """What came of a delivery, in a sentence, with the reason."""
    why = f": {delivery.problem}" if delivery.problem else ""
    match delivery.state:
        case DeliveryState.DELIVERED:
            return "The gateway took it."
        case DeliveryState.FAILED:
            return f"It was given up{why}"
        case DeliveryState.SKIPPED:
            return f"It was not sent{why}"
        case DeliveryState.WAITING:
            tries = f", tried {delivery.attempts} times" if delivery.attempts else ""
            return f"It waits to be sent{tries}{why}"


def spoken(reason: str) -> str:
    """`CASHIER_ERROR` as people say it."""
    return reason.replace("_", " ").lower()
