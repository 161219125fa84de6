"""A random history of one org, played through the real ledger: redemptions, reversals, new terms, and time that goes by."""

from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any, Final

from sqlalchemy import insert

from couponry.core.commands import Redeem, Reverse
from couponry.core.model import Handling, Org, Place
from couponry.core.plan import Answer
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store import offering, registry
from couponry.store import schema as t
from couponry.store.engine import Database
from tests.core import world
from tests.core.world import DAY_MS, NOW
from tests.ledger.desk import Clock, Desk
from tests.ledger.rows import rows, write, write_org

SERIES: Final = (1, 2, 3, 4)
"""Generated, uploaded, shared, external."""
CODES: Final = ("A1", "A2", "A3", "P1", "P2", "S", "X1", "X2")
TILLS: Final = {"t11": (11, 21), "t12": (12, 22)}
LIMITS: Final = (-1, -1, -1, 2, 5)


@dataclass
class Fact:
    """One redeem, and what it was answered."""

    code: str
    customer_id: int
    till: str
    amount: Decimal
    at_ms: int
    status: Code
    redemption_id: int


@dataclass
class History:
    """One org's history. The desk's clock is its time."""

    database: Database
    desk: Desk
    random: Random
    org_id: int = world.ORG
    facts: list[Fact] = field(default_factory=list)

    def open(self) -> None:
        write_org(self.database, self.org_id)
        issued = {"issued_ms": NOW - 10 * DAY_MS}
        held = [("A1", 1), ("A2", 1), ("A3", 2)]
        coupons = [
            *(world.coupon(at, code, customer_id=owner, **issued) for at, (code, owner) in enumerate(held, 1)),
            *(world.pool_coupon(at, code, series_id=2) for at, code in enumerate(("P1", "P2"), 11)),
            world.pool_coupon(21, "S", series_id=3),
            *(world.pool_coupon(at, code, series_id=4) for at, code in enumerate(("X1", "X2"), 31)),
        ]
        write(
            self.database,
            *(world.customer(serial) for serial in (1, 2, 3)),
            world.series(1, series_code="S1"),
            world.series(2, series_code="S2", client_handling_type=Handling.UPLOADED, any_user=True),
            world.series(3, series_code="S3", client_handling_type=Handling.SHARED, any_user=True, generic_code="S"),
            world.series(4, series_code="S4", client_handling_type=Handling.UPLOADED, external_issual=True),
            *coupons,
            org_id=self.org_id,
        )
        with self.database.writing() as tx:
            for code, (till_id, store_id) in TILLS.items():
                store = {"id": store_id, "code": code, "name": code, "is_active": True}
                tx.connection.execute(insert(t.store).values(org_id=self.org_id, **store))
                till = {"id": till_id, "code": code, "name": code, "store_id": store_id, "is_active": True, "password_hash": ""}
                tx.connection.execute(insert(t.till).values(org_id=self.org_id, **till))
        for series_id in SERIES:
            self.change_terms(series_id)

    @property
    def clock(self) -> Clock:
        assert isinstance(self.desk.clock, Clock)
        return self.desk.clock

    @property
    def now_ms(self) -> int:
        return self.clock.now_ms

    def org(self) -> Org:
        with self.database.reading() as tx:
            org = registry.read_org(tx, self.org_id)
        assert isinstance(org, Org)
        return org

    def play(self, steps: int) -> None:
        for _ in range(steps):
            self.clock.now_ms += self.random.choice((7, 7, 7, DAY_MS // 24, DAY_MS))
            roll = self.random.random()
            if roll < 0.75:
                self.redeem()
            elif roll < 0.9:
                self.reverse()
            else:
                self.change_terms(self.random.choice(SERIES))

    def command(self) -> tuple[str, Redeem]:
        random = self.random
        till = random.choice(("t11", "t11", "t11", "t12"))
        code, customer_id = random.choice(CODES), random.choice((1, 1, 2, 3))
        if code.startswith("A") and random.random() < 0.8:
            customer_id = 2 if code == "A3" else 1
        amount = random.choice((Decimal(100), Decimal(100), Decimal(50)))
        fields = {"customer": (("id", str(customer_id)),), "amount": amount, "transaction_number": "", "place": self.place(till)}
        return till, world.redeem(code, org_id=self.org_id, **fields)

    @staticmethod
    def place(till: str) -> Place:
        return world.place(*TILLS[till])

    def redeem(self) -> None:
        till, command = self.command()
        answer = self.desk.answer(command)
        assert isinstance(answer, Answer)
        item, (_, customer_id) = answer.items[0], command.customer[0]
        assert command.items[0].code
        assert command.amount is not None
        made = (command.items[0].code, int(customer_id), till, command.amount, self.now_ms)
        self.facts.append(Fact(*made, item.status, item.redemption_id))

    def reverse(self) -> None:
        made = [row["id"] for row in rows(self.database, t.redemption, self.org_id) if row["reversed_ms"] is None]
        if made:
            self.desk.outcomes(Reverse(self.org_id, self.place("t11"), (self.random.choice(made),)))

    def change_terms(self, series_id: int) -> None:
        """A next version. A cap below what is counted is refused, and nothing changes then."""
        random = self.random
        fields: dict[str, Any] = {
            "isMultipleUseAllowed": random.random() < 0.9,
            "sameUserMultipleRedeem": random.random() < 0.9,
            "maxRedemptionsInSeriesPerUser": random.choice(LIMITS),
            "minDaysBetweenRedemption": random.choice((-1, -1, -1, -1, 1)),
            "maxRedeem": random.choice((-1, -1, 4, 8)),
            "minBillAmount": random.choice((0, 0, 0, 0, 60)),
            "redeemAtStore": random.choice(("[-1]", "[-1]", "[-1]", "[21]")),
            "redemptionRange": random.choice(('{"hours":[-1]}',) * 4 + ('{"hours":[12,13,14,15,16,17,18]}',)),
        }
        if series_id == 2:
            fields["redemptionPerCouponMaxLimit"] = random.choice((None, None, 2, 3))
        with self.database.writing() as tx:
            changed = offering.update_series(tx, self.org(), series_id, fields, offering.Author(self.now_ms))
        assert not isinstance(changed, Problem) or changed.code == 744, changed
