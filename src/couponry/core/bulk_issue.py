"""Issue to many at once: one series, thousands of customers, by the very guards that an issue to one goes through (J4-J11).

Whoever is alike in all that the guards read is judged once, so that a million customers cost a million look-ups in a dictionary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Final, NamedTuple

from msgspec import Struct

from couponry.core.model import Customer, Handling, Org, Standing
from couponry.core.rules import issue as rules
from couponry.core.series import Series
from couponry.core.status import Code


class Person(NamedTuple):
    """What issue reads of a customer; `is_reachable` as `Customer.channel` has it."""

    customer_id: int
    is_loyalty: bool
    fraud_status: str
    status_label: str
    is_gone: bool
    is_reachable: bool


class Supply(Struct, frozen=True):
    """How many more coupons there may be (J10; None: no limit), and how many codes there are for them (J11)."""

    room: int | None
    codes: int


@dataclass
class Held:
    """What the people of a chunk have and had of the series, as the coupons of the chunk are added to it.

    `members` are those in its audience, None where it has none; `holders` hold a live coupon; `excluded_ms` is when somebody last
    received a coupon of a series that excludes this one.
    """

    members: frozenset[int] | None = None
    standings: dict[int, Standing] = field(default_factory=dict)
    holders: set[int] = field(default_factory=set)
    excluded_ms: dict[int, int] = field(default_factory=dict)

    def facts(self, customer_id: int) -> tuple[bool, bool, int | None]:
        """Whether in the audience, whether holding one, and when last received an excluding one."""
        is_member = self.members is None or customer_id in self.members
        return is_member, customer_id in self.holders, self.excluded_ms.get(customer_id)

    def give(self, customer_id: int, standing: Standing, now_ms: int) -> None:
        """One more coupon in the hands of somebody who stood like this."""
        last_ms = max(standing.last_issued_ms or 0, now_ms)  # another process's clock may be ahead
        used = (standing.redeemed, standing.uses, standing.last_redeemed_ms, standing.is_stored)
        self.standings[customer_id] = Standing(*used, standing.issued + 1, last_ms)
        self.holders.add(customer_id)


_NONE: Final = Standing()


def judged(
    org: Org, series: Series, now_ms: int, people: Sequence[Person], held: Held, supply: Supply, own: Sequence[str] = ()
) -> list[Code | None]:
    """For each of these people, in order, None if a coupon is issued to them, else why not. Somebody may be named twice.

    `held` then holds what each has by now. `own` are the codes that they are to get, in their normal form, if somebody has
    brought codes for them: once a code is given, it is 747 for all others.
    """
    given: set[str] = set()
    verdicts: dict[tuple[object, ...], Code | None] = {}
    room, codes = supply.room, supply.codes
    found: list[Code | None] = []
    for person, code in zip(people, own or repeat("", len(people)), strict=True):
        if code in given:
            found.append(Code.REPEATED_IN_REQUEST)
            continue
        customer_id = person.customer_id
        standing = held.standings.get(customer_id, _NONE)
        alike = (person[1:5], standing.issued, standing.last_issued_ms, held.facts(customer_id))
        if alike not in verdicts:
            verdicts[alike] = _refusal(org, series, now_ms, person, standing, held)
        refused = verdicts[alike]
        if refused is None and room is not None and room <= 0:
            refused = Code.SERIES_LIMIT_REACHED
        elif refused is None and codes <= 0:
            refused = Code.NO_CODE_LEFT
        found.append(refused)
        if refused is None:
            codes -= 1
            room = None if room is None else room - 1
            held.give(customer_id, standing, now_ms)
            if code:
                given.add(code)
    return found


def row_code(refused: Code, series: Series) -> Code:
    """The code that a row of an upload or a bulk issue fails with (upload 4): the issue's own, or the one for its kind of row."""
    if refused in (Code.SERIES_LIMIT_REACHED, Code.CUSTOMER_HAS_ENOUGH):
        return rules.cut_by(refused, series)
    is_shared = series.terms.client_handling_type is Handling.SHARED
    return Code.ONE_SHARED_CODE if refused is Code.HOLDS_A_COUPON and is_shared else refused


def _refusal(org: Org, series: Series, now_ms: int, person: Person, standing: Standing, held: Held) -> Code | None:
    customer = Customer(
        person.customer_id,
        is_loyalty=person.is_loyalty,
        fraud_status=person.fraud_status,
        status_label=person.status_label,
        gone=person.is_gone,
    )
    is_member, holds_one, excluded_ms = held.facts(person.customer_id)
    receipt = rules.Receipt(
        org=org,
        customer=customer,
        series=series,
        is_in_audience=is_member,
        standing=standing,
        holds_one=holds_one,
        excluded_ms=excluded_ms,
        series_issued=0,  # `room` counts down instead
        now_ms=now_ms,
    )
    return rules.customer_refusal(org, [customer]) or rules.refusal(receipt)
