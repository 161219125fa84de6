"""Small worlds to decide in: one org, one till, one series, one coupon in one customer's hands, all of it redeemable as it is.

Every builder takes what a test wants to be different. It is noon in India, where the org and its stores are.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import count
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from couponry.core import ids
from couponry.core.codes import code_key
from couponry.core.commands import (
    Amend,
    Amendment,
    Check,
    Command,
    IdempotencyKey,
    Issue,
    Item,
    Redate,
    Redeem,
    Reverse,
    Revoke,
)
from couponry.core.decide import decide
from couponry.core.model import Coupon, Customer, Identifier, Org, Place, Standing, StoredRedemption, Terms
from couponry.core.org_settings import OrgSettings
from couponry.core.plan import Answer, AnyAnswer, CheckAnswer, Outcome
from couponry.core.series import Series, series_from_terms
from couponry.core.state import State
from couponry.core.status import Code

AnAnswer = TypeVar("AnAnswer", bound=AnyAnswer)

ORG: Final = 1
ZONE: Final = ZoneInfo("Asia/Kolkata")
DAY_MS: Final = 24 * 3600 * 1000
MIRA: Final[Identifier] = ("mobile", "919812300001")
NOOR: Final[Identifier] = ("mobile", "919812300002")
NOBODY: Final[Identifier] = ("mobile", "919800000000")
CODE: Final = "H4TQ9ZKM"
"""The code of the coupon that `coupon()` builds; Mira holds it."""


def ms(text: str, zone: ZoneInfo = ZONE) -> int:
    """Epoch milliseconds of an ISO local time in a zone, or of one that carries its offset."""
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)


NOW: Final = ms("2031-03-10 12:00:00")
"""A Monday."""


def _but(fields: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """The defaults, except for these fields."""
    return defaults | fields


def coupon_id(serial: int, org_id: int = ORG) -> int:
    return ids.first_id(ids.COUPON, org_id, serial)


def redemption_id(serial: int) -> int:
    return ids.first_id(ids.REDEMPTION, ORG, serial)


def org(*, zone: ZoneInfo = ZONE, **settings: Any) -> Org:
    blocking = frozenset({"SUSPENDED"})
    return Org(ORG, zone, "INR", "91", OrgSettings(**settings), blocking, blocking | {"REDEMPTION_BLOCKED"})


def place(till_id: int = 11, store_id: int = 21, **fields: Any) -> Place:
    return Place(till_id, store_id, **_but(fields, zone_ids=frozenset(), concept_ids=frozenset(), time_zone=ZONE))


def customer(serial: int = 1, **fields: Any) -> Customer:
    """Mira, Noor, or the customer of another serial; the last digits of the mobile are the serial."""
    return Customer(serial, **_but(fields, mobile=f"9198123{serial:05}", registered_ms=ms("2030-01-01")))


def terms(**fields: Any) -> Terms:
    until = date(2031, 12, 31)
    return Terms(**_but(fields, description="Monsoon", series_code="MONSOON", zone=ZONE.key, valid_till_date=until))


def series(serial: int = 1, **fields: Any) -> Series:
    """A series whose terms differ from the defaults in these fields."""
    return series_from_terms(serial, 1, terms(**fields))


def coupon(serial: int = 1, code: str = CODE, **fields: Any) -> Coupon:
    """A coupon of series 1, issued to Mira ten days ago."""
    return Coupon(coupon_id(serial), **_but(fields, series_id=1, code=code, customer_id=1, issued_ms=NOW - 10 * DAY_MS))


def pool_coupon(serial: int = 1, code: str = CODE, **fields: Any) -> Coupon:
    """An uploaded code that nobody holds."""
    return coupon(serial, code, **_but(fields, customer_id=None, issued_ms=None))


def state(
    coupons: Iterable[Coupon] = (coupon(),),
    all_series: Iterable[Series] = (series(),),
    customers: Iterable[Customer] = (customer(1), customer(2)),
    **fields: Any,
) -> State:
    """What a batch would have loaded, were these all the rows there are."""
    coupons, customers = list(coupons), list(customers)
    return State(
        **_but(
            fields,
            now_ms=NOW,
            org=org(),
            redemption_ids=count(redemption_id(1)),
            new_coupon_ids=count(coupon_id(1_000_000)),
            customers={identifier: person for person in customers for identifier in identifiers(person)},
            coupons={each.id: each for each in coupons},
            coupon_ids={(code_key(each.code), each.holder_id): each.id for each in coupons},
            series={each.id: each for each in all_series},
        )
    )


def identifiers(person: Customer) -> list[Identifier]:
    known = {
        "id": str(person.id),
        "mobile": person.mobile,
        "email": person.email,
        "externalId": person.external_id,
        "cardnumber": person.card_number,
        "cardExternalId": person.card_external_id,
    }
    return [(kind, value) for kind, value in known.items() if value]


def standing(redeemed: int = 1, last: str = "2031-03-09 12:00:00") -> dict[tuple[int, int], Standing]:
    """Mira has redeemed so often in series 1."""
    return {(1, 1): Standing(redeemed, redeemed, ms(last), is_stored=True)}


def items(*shown: str | int) -> tuple[Item, ...]:
    """A code is text, an id is a number."""
    return tuple(Item(code=each) if isinstance(each, str) else Item(coupon_id=each) for each in shown)


def claim(*shown: str | int, **fields: Any) -> dict[str, Any]:
    """The fields of a request by Mira, at the till, for a bill of 1800."""
    return _but(
        fields,
        org_id=ORG,
        place=place(),
        customer=(MIRA,),
        items=items(*shown or (CODE,)),
        amount=Decimal(1800),
        transaction_number="INV-5510",
    )


def redeem(*shown: str | int, **fields: Any) -> Redeem:
    return Redeem(**claim(*shown, **fields))


def check(*shown: str | int, **fields: Any) -> Check:
    return Check(**claim(*shown, **fields))


def issue(*series_ids: int, **fields: Any) -> Issue:
    """A coupon of series 1 for Mira, at the till."""
    return Issue(**_but(fields, org_id=ORG, place=place(), customer=(MIRA,), series_ids=series_ids or (1,)))


def reverse(*redemption_ids: int, **fields: Any) -> Reverse:
    return Reverse(**_but(fields, org_id=ORG, place=place(), redemption_ids=redemption_ids))


def revoke(*codes: str, **fields: Any) -> Revoke:
    """Codes of series 1, whoever holds them."""
    return Revoke(**_but(fields, org_id=ORG, place=place(), customer=None, series_id=1, codes=codes))


def redate(*expiries: tuple[str, int], **fields: Any) -> Redate:
    """Codes of series 1, whoever holds them, each with its new expiry."""
    return Redate(**_but(fields, org_id=ORG, place=place(), customer=None, series_id=1, expiries=expiries))


def amend(*amendments: Amendment, **fields: Any) -> Amend:
    return Amend(**_but(fields, org_id=ORG, place=place(), customer=None, amendments=amendments))


def stored(serial: int = 1, **fields: Any) -> StoredRedemption:
    """Mira's redemption of the coupon that `coupon()` builds, yesterday at noon."""
    coupon_redeemed = {"coupon_id": coupon_id(1), "series_id": 1, "customer_id": 1, "redeemed_ms": NOW - DAY_MS}
    bill = {"amount": Decimal(1800), "transaction_number": "INV-5510", "bill_id": None, "custom_fields": {}}
    return StoredRedemption(redemption_id(serial), **_but(fields, **coupon_redeemed, is_undone=False, **bill))


def key(name: str = "key-1", body: str = "body") -> IdempotencyKey:
    return IdempotencyKey(name, body.encode())


def told(kind: type[AnAnswer], outcome: Outcome) -> AnAnswer:
    """The answer of the outcome, which is of this kind."""
    assert isinstance(outcome.answer, kind)
    return outcome.answer


def ask(kind: type[AnAnswer], world: State, command: Command) -> AnAnswer:
    """What one command is answered; the world is left as it would be then."""
    (outcome,) = decide(world, [command]).outcomes
    return told(kind, outcome)


def answer(world: State, command: Redeem) -> Answer:
    return ask(Answer, world, command)


def check_answer(world: State, command: Check) -> CheckAnswer:
    return ask(CheckAnswer, world, command)


def statuses(world: State, commands: Sequence[Command]) -> list[Code]:
    """What each command of one batch is answered."""
    return [outcome.answer.status for outcome in decide(world, commands).outcomes]
