"""What reversal, revocation, another expiry and an update of a bill leave in the database."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from couponry.core.commands import Command
from couponry.core.model import AfterReversal, ExpiryStrategy, Handling
from couponry.core.plan import AmendAnswer, RedateAnswer, RevokeAnswer
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.engine import Database
from tests.core.world import CODE, DAY_MS, MIRA, NOBODY, NOOR, NOW, coupon, coupon_id, ms, place, pool_coupon, redeem, series
from tests.ledger.desk import Clock, Desk, in_one_batch
from tests.ledger.orders import amend, issue, redate, reverse, revoke, several
from tests.ledger.rows import count_issued, open_shop, rows, run_sql, wrongs

MANY = {"is_multiple_vouchers_per_user_allowed": True}
REUSABLE = {"is_multiple_use_allowed": True, "same_user_multiple_redeem": True}
LATER = NOW + DAY_MS
UNTOUCHED = (t.redemption, t.coupon, t.customer_series, t.series_counter, t.outbox)


def redeemed(desk: Desk, *shown: str, **fields: object) -> list[int]:
    """The ids of new redemptions."""
    answer = desk.answer(redeem(*shown, transaction_number="", **fields))
    assert answer.status is Code.PROCESSED
    return [item.redemption_id for item in answer.items]


def statuses(database: Database, *commands: Command) -> list[Code]:
    """Of one batch."""
    return [outcome.answer.status for outcome in in_one_batch(database, *commands)]


def events(database: Database, *names: str) -> list[tuple[str, int, int | None]]:
    told = [(row["event"], row["subject_id"], row["customer_id"]) for row in rows(database, t.outbox)]
    return [one for one in told if one[0] in names]


class TestReverse:
    def test_frees_every_limit(self, desk: Desk, database: Database) -> None:
        limits = {"redemption_per_coupon_max_limit": 1, "max_redemptions_in_series_per_user": 1, "max_redeem": 1}
        open_shop(database, series(1, is_multiple_use_allowed=True, min_days_between_redemption=1, **limits), coupon())
        count_issued(database)
        (made,) = redeemed(desk, CODE)
        assert desk.statuses(redeem()) == [Code.ALREADY_USED_BY_CUSTOMER]
        assert isinstance(desk.clock, Clock)
        desk.clock.now_ms += 1000
        assert desk.statuses(reverse(made, place=place(12), reason="RETURNED", request_id="r1")) == [Code.PROCESSED]
        (row,) = rows(database, t.redemption)
        assert (row["reversed_ms"], row["reversed_till_id"], row["reversal_reason"]) == (NOW + 1000, 12, "RETURNED")
        (standing,) = rows(database, t.customer_series)
        assert (standing["redeemed"], standing["uses"], standing["last_redeemed_ms"]) == (0, 1, None)
        (counter,) = rows(database, t.series_counter)
        assert (counter["redeemed"], counter["issued"], counter["last_redeemed_ms"]) == (0, 1, NOW)
        assert events(database, "CouponReactivate") == [("CouponReactivate", made, 1)]
        assert wrongs(database) == []
        (again,) = redeemed(desk, CODE)
        assert again != made
        assert desk.statuses(reverse(made), redeem(transaction_number="")) == [
            Code.INVALID_REDEMPTION_IDS,
            Code.ALREADY_USED_BY_CUSTOMER,
        ]
        assert wrongs(database) == []

    def test_last_redemption_is_the_latest_that_is_left(self, desk: Desk, database: Database) -> None:
        open_shop(database, series(1, **REUSABLE, min_days_between_redemption=2), coupon(1, "A"), coupon(2, "B"))
        count_issued(database)
        assert isinstance(desk.clock, Clock)
        ids = []
        for code in "AB":
            ids += redeemed(desk, code)
            desk.clock.now_ms += 2 * DAY_MS
        assert desk.statuses(reverse(ids[1])) == [Code.PROCESSED]
        (standing,) = rows(database, t.customer_series)
        assert (standing["redeemed"], standing["last_redeemed_ms"]) == (1, NOW)
        assert desk.statuses(reverse(ids[0])) == [Code.PROCESSED]
        (standing,) = rows(database, t.customer_series)
        assert (standing["redeemed"], standing["last_redeemed_ms"]) == (0, None)
        assert wrongs(database) == []

    def test_all_or_none(self, desk: Desk, database: Database) -> None:
        open_shop(database, series(1, **REUSABLE), *(coupon(number, code) for number, code in enumerate("ABCD", 1)))
        count_issued(database)
        a, b, c, d = redeemed(desk, "A", "B", "C", "D")
        assert desk.statuses(reverse(a), revoke("B")) == [Code.PROCESSED] * 2
        before = [rows(database, table) for table in UNTOUCHED]
        asked: list[Command] = [reverse(c, a), reverse(c, 1), reverse(c, coupon_id(1)), reverse(c, b), reverse(b, a)]
        expected = [*[Code.INVALID_REDEMPTION_IDS] * 3, Code.REVOKED, Code.INVALID_REDEMPTION_IDS]
        assert desk.statuses(*asked) == expected
        assert [rows(database, table) for table in UNTOUCHED] == before
        assert desk.statuses(reverse(c, d, c), reverse(d)) == [Code.PROCESSED, Code.INVALID_REDEMPTION_IDS]
        assert events(database, "CouponReactivate") == [("CouponReactivate", each, 1) for each in (a, c, d)]
        assert wrongs(database) == []

    def test_redemption_of_a_shared_code(self, desk: Desk, database: Database) -> None:
        """The record stays the customer's, and is redeemable again."""
        open_shop(database, series(1, client_handling_type=Handling.SHARED, any_user=True), pool_coupon(1, "SHARED"))
        (made,) = redeemed(desk, "SHARED")
        assert desk.statuses(reverse(made)) == [Code.PROCESSED]
        redeemed(desk, "SHARED")
        _, own = rows(database, t.coupon)
        assert (own["redeemed"], own["uses"]) == (1, 2)
        assert wrongs(database) == []

    def test_expired_coupon_stays_expired(self, desk: Desk, database: Database) -> None:
        open_shop(database, coupon(expires_local="2031-03-10T12:00:00"))
        count_issued(database)
        (made,) = redeemed(desk, CODE)
        assert isinstance(desk.clock, Clock)
        desk.clock.now_ms += 60_000
        assert desk.statuses(reverse(made), redeem(transaction_number="")) == [Code.PROCESSED, Code.COUPON_EXPIRED]
        assert wrongs(database) == []

    @pytest.mark.parametrize(
        ("policy", "is_reversed", "expires"),
        [
            (AfterReversal("returns"), True, "2031-03-11T23:59:59"),
            (AfterReversal("returns", 5), True, "2031-03-15T23:59:59"),
            (AfterReversal("consumed"), False, "2031-03-11T23:59:59"),
        ],
    )
    def test_policy(self, desk: Desk, database: Database, policy: AfterReversal, is_reversed: bool, expires: str) -> None:
        """The series says for each reason what becomes of the use; a consumed one is undone for good, too."""
        open_shop(
            database,
            series(1, reversal_policy={"CHARGEBACK": policy}),
            coupon(expires_local="2031-03-11T23:59:59"),
            coupon(2, "B"),
        )
        count_issued(database)
        made, other = redeemed(desk, CODE, "B")
        assert desk.statuses(reverse(made, reason="CHARGEBACK"), reverse(other, reason="RETURNED")) == [Code.PROCESSED] * 2
        row, unlike = rows(database, t.redemption)
        assert (row["reversed_ms"] is not None, row["reversal_reason"]) == (is_reversed, "CHARGEBACK")
        assert unlike["reversed_ms"] == NOW
        held = rows(database, t.coupon)[0]
        assert (held["redeemed"], held["uses"], held["expires_local"]) == (1 - is_reversed, 1, expires)
        assert desk.statuses(reverse(made)) == [Code.INVALID_REDEMPTION_IDS]
        assert wrongs(database) == []

    def test_unreadable_terms(self, desk: Desk, database: Database) -> None:
        open_shop(database)
        (made,) = redeemed(desk, CODE)
        run_sql(
            database,
            "INSERT INTO series_version (org_id, series_id, version, terms, created_ms) VALUES (1, 1, 2, '{', 0)",
            "UPDATE series SET version = 2",
        )
        before = [rows(database, table) for table in UNTOUCHED]
        assert desk.statuses(reverse(made), revoke(CODE), redate(LATER, CODE)) == [Code.SERIES_UNREADABLE] * 3
        assert [rows(database, table) for table in UNTOUCHED] == before

    def test_reversed_and_redeemed_in_one_batch(self, desk: Desk, database: Database) -> None:
        open_shop(database, series(1, max_redeem=1), coupon())
        count_issued(database)
        (made,) = redeemed(desk, CODE)
        asked: list[Command] = [
            redeem(transaction_number="T1"),
            reverse(made),
            redeem(transaction_number="T2"),
            redeem(transaction_number="T3"),
        ]
        assert statuses(database, *asked) == [Code.ALREADY_USED, Code.PROCESSED, Code.PROCESSED, Code.ALREADY_USED]
        assert wrongs(database) == []


class TestRevoke:
    def test_codes(self, desk: Desk, database: Database) -> None:
        """Each by itself; a pooled one is free to be uploaded again."""
        open_shop(
            database,
            series(1, **REUSABLE, redemption_per_coupon_max_limit=2),
            series(2),
            *(coupon(number, code) for number, code in enumerate(("USED", "HALF", "MINE", "GONE"), 1)),
            coupon(5, "NOORS", customer_id=2),
            pool_coupon(6, "POOL"),
            coupon(7, "ELSE", series_id=2),
        )
        count_issued(database)
        for code in ("USED", "USED", "HALF"):
            redeemed(desk, code)
        assert desk.statuses(revoke("GONE")) == [Code.PROCESSED]
        (outcome,) = desk.outcomes(
            revoke("mine", "USED", "NOPE", "ELSE", "half", "GONE", "POOL", "NOORS", "MINE", request_id="r")
        )
        answer = outcome.answer
        assert isinstance(answer, RevokeAnswer)
        assert answer.status is Code.PROCESSED
        assert [(each.coupon_id, each.code, each.customer_id) for each in answer.revoked] == [
            (coupon_id(3), "MINE", 1),
            (coupon_id(2), "HALF", 1),
            (coupon_id(6), "POOL", None),
            (coupon_id(5), "NOORS", 2),
        ]
        assert answer.failed == (
            (Code.REDEEMED, "USED"),
            (Code.NOT_IN_SERIES, "NOPE"),
            (Code.NOT_IN_SERIES, "ELSE"),
            (Code.REVOKED, "GONE"),
            (Code.REVOKED, "MINE"),
        )
        revoked = {row["id"]: row for row in rows(database, t.coupon) if row["revoked_ms"]}
        assert {row["revoked_ms"] for row in revoked.values()} == {NOW}
        assert all(row["revision"] == each for each, row in revoked.items())
        assert {row["customer_id"]: row["issued"] for row in rows(database, t.customer_series) if row["series_id"] == 1} == {
            1: 1,
            2: 0,
        }
        assert sum(row["issued"] for row in rows(database, t.series_counter) if row["series_id"] == 1) == 5
        assert events(database, "CouponRevoke") == [
            ("CouponRevoke", coupon_id(serial), owner) for serial, owner in ((4, 1), (3, 1), (2, 1), (6, None), (5, 2))
        ]
        assert wrongs(database) == []

    def test_all_of_a_customer(self, desk: Desk, database: Database) -> None:
        open_shop(
            database,
            series(1, **REUSABLE, **MANY),
            coupon(1, "USED"),
            *(coupon(number, f"C{number}") for number in range(2, 6)),
            coupon(6, "NOORS", customer_id=2),
            pool_coupon(7, "POOL"),
        )
        count_issued(database)
        redeemed(desk, "USED")
        (outcome,) = desk.outcomes(revoke())
        assert isinstance(outcome.answer, RevokeAnswer)
        assert [each.code for each in outcome.answer.revoked] == ["C2", "C3", "C4", "C5"]
        assert desk.outcomes(revoke())[0].answer == RevokeAnswer(Code.PROCESSED)
        assert desk.statuses(revoke(customer=(NOBODY,)), revoke(series_id=9)) == [Code.CUSTOMER_NOT_FOUND, Code.INVALID_SERIES_ID]
        assert wrongs(database) == []

    def test_what_came_in_the_same_batch_goes_too(self, database: Database) -> None:
        """A coupon issued, or free again, just before; prevents one that stays after all were revoked."""
        open_shop(database, series(1, **MANY), coupon(1, "A"), coupon(2, "B"))
        count_issued(database)
        assert statuses(database, redeem("A")) == [Code.PROCESSED]
        (made,) = (row["id"] for row in rows(database, t.redemption))
        assert statuses(database, issue(), revoke("B"), reverse(made), revoke()) == [Code.PROCESSED] * 4
        assert [row["revoked_ms"] for row in rows(database, t.coupon)] == [NOW] * 3
        assert wrongs(database) == []

    def test_more_than_a_hundred_are_left_alone(self, desk: Desk, database: Database) -> None:
        """Also when some go in the same batch: prevents a hundred of many from being revoked."""
        open_shop(database, series(1, **MANY), *(coupon(number, f"C{number}") for number in range(1, 121)))
        count_issued(database)
        told = statuses(database, redeem("C1"), revoke(), revoke("C2", "C3"))
        assert told == [Code.PROCESSED, Code.BATCH_LIMIT_EXCEEDED, Code.PROCESSED]
        assert desk.statuses(revoke(*(f"C{number}" for number in range(4, 21)))) == [Code.PROCESSED]
        assert desk.statuses(revoke()) == [Code.PROCESSED]
        assert [row["code"] for row in rows(database, t.coupon) if not row["revoked_ms"]] == ["C1"]
        assert wrongs(database) == []

    def test_codes_of_a_customer(self, desk: Desk, database: Database) -> None:
        open_shop(database, coupon(1, "MINE"), coupon(2, "NOORS", customer_id=2), pool_coupon(3, "POOL"))
        count_issued(database)
        (outcome,) = desk.outcomes(revoke("MINE", "NOORS", "POOL", customer=(MIRA,)))
        assert isinstance(outcome.answer, RevokeAnswer)
        assert [each.code for each in outcome.answer.revoked] == ["MINE"]
        assert outcome.answer.failed == ((Code.NOT_IN_SERIES, "NOORS"), (Code.NOT_IN_SERIES, "POOL"))
        assert wrongs(database) == []

    def test_one_code_without_its_series(self, desk: Desk, database: Database) -> None:
        open_shop(database)
        count_issued(database)
        assert desk.statuses(revoke(CODE.lower(), series_id=None)) == [Code.PROCESSED]
        assert desk.statuses(redeem()) == [Code.REVOKED]
        assert wrongs(database) == []

    def test_shared_code(self, desk: Desk, database: Database) -> None:
        """Only the customer's own record; the next issue makes another."""
        open_shop(database, series(1, client_handling_type=Handling.SHARED, generic_code="SHARED"), pool_coupon(1, "SHARED"))
        assert desk.statuses(issue(), issue(customer=(NOOR,))) == [Code.PROCESSED] * 2
        assert desk.statuses(revoke("SHARED"), revoke("SHARED", customer=(MIRA,))) == [
            Code.SHARED_CODE_NEEDS_CUSTOMER,
            Code.PROCESSED,
        ]
        assert desk.statuses(redeem("SHARED"), redeem("SHARED", customer=(NOOR,))) == [Code.REVOKED, Code.PROCESSED]
        assert statuses(database, issue(), redeem("SHARED"), revoke()) == [Code.PROCESSED] * 3
        assert [(row["holder_id"], row["revoked_ms"], row["redeemed"]) for row in rows(database, t.coupon)] == [
            (0, None, 0),
            (1, NOW, 0),
            (2, None, 1),
            (1, None, 1),
        ]
        assert wrongs(database) == []

    def test_issued_and_revoked_in_one_batch(self, database: Database) -> None:
        pool = series(1, client_handling_type=Handling.UPLOADED, **MANY)
        open_shop(database, pool, pool_coupon(1, "P1"), pool_coupon(2, "P2"))
        assert statuses(database, issue(), revoke("P1"), issue(), redeem("P2")) == [Code.PROCESSED] * 4
        assert [(row["customer_id"], row["revoked_ms"]) for row in rows(database, t.coupon)] == [(1, NOW), (1, None)]
        assert wrongs(database) == []


class TestRedate:
    def test_each_code_by_itself(self, desk: Desk, database: Database) -> None:
        open_shop(
            database,
            series(1),
            series(2),
            coupon(1, "A"),
            coupon(2, "B", expires_local="2031-03-01T00:00:00"),
            coupon(3, "C", is_revoked=True),
            coupon(4, "D", series_id=2),
            pool_coupon(5, "P"),
        )
        count_issued(database)
        last = ms("2031-04-15 15:30:00")
        (outcome,) = desk.outcomes(redate(last, "a", "B", "C", "D", "NOPE", "P", "A"))
        unknown = Code.EXPIRY_CODE_UNKNOWN
        assert outcome.answer == RedateAnswer(Code.PROCESSED, (None, None, Code.REVOKED, unknown, unknown, None, None), 1)
        after = [row["expires_local"] for row in rows(database, t.coupon)]
        assert after == ["2031-04-15T15:30:00", "2031-04-15T15:30:00", None, None, "2031-04-15T15:30:00"]
        changed = [(1, 1), (2, 1), (5, None), (1, 1)]
        assert events(database, "CouponExpiryChange") == [("CouponExpiryChange", coupon_id(at), who) for at, who in changed]
        assert desk.statuses(redate(NOW - 1000, "A"), redate(ms("2032-01-01 00:00:00"), "A")) == [Code.PROCESSED] * 2
        assert rows(database, t.coupon)[0]["expires_local"] == "2031-04-15T15:30:00"
        assert isinstance(desk.clock, Clock)
        desk.clock.now_ms = last + 999
        assert desk.statuses(redeem("A")) == [Code.PROCESSED]
        desk.clock.now_ms += 1
        assert desk.statuses(redeem("B")) == [Code.COUPON_EXPIRED]

    def test_redated_twice_and_redeemed_in_one_batch(self, database: Database) -> None:
        strategy = {"expiry_strategy_type": ExpiryStrategy.DAYS, "expiry_strategy_value": 1}
        open_shop(database, series(1, **strategy), coupon(expires_local="2031-03-09T00:00:00"))
        count_issued(database)
        asked: list[Command] = [redeem(), redate(LATER, CODE), redate(LATER + 1000, CODE, series_id=None), redeem()]
        assert statuses(database, *asked) == [Code.COUPON_EXPIRED, *[Code.PROCESSED] * 3]
        assert rows(database, t.coupon)[0]["expires_local"] == "2031-03-11T12:00:01"
        assert wrongs(database) == []

    def test_shared_code_needs_its_customer(self, desk: Desk, database: Database) -> None:
        open_shop(database, series(1, client_handling_type=Handling.SHARED, generic_code="SHARED"), pool_coupon(1, "SHARED"))
        assert desk.statuses(issue(), redate(LATER, "SHARED")) == [Code.PROCESSED, Code.EXPIRY_NEEDS_CUSTOMER]
        (outcome,) = desk.outcomes(redate(LATER, "shared", customer=(MIRA,)))
        assert outcome.answer == RedateAnswer(Code.PROCESSED, (None,), 1, 1)
        assert [row["expires_local"] for row in rows(database, t.coupon)] == [None, "2031-03-11T12:00:00"]
        assert wrongs(database) == []


class TestAmend:
    def test_only_what_is_sent_changes(self, desk: Desk, database: Database) -> None:
        open_shop(database, series(1, **REUSABLE), coupon(1, "A"), coupon(2, "B", customer_id=2))
        (mine,) = redeemed(desk, "A")
        (theirs,) = redeemed(desk, "B", customer=(NOOR,))
        before = [rows(database, table) for table in (t.coupon, t.customer_series, t.series_counter, t.outbox)]
        (outcome,) = desk.outcomes(
            amend(mine, theirs, 1, customer=(MIRA,), amount=Decimal("12.5"), bill_id=7, custom_fields=(("a", "1"), ("b", "2")))
        )
        assert isinstance(outcome.answer, AmendAnswer)
        assert outcome.answer.status is Code.PARTLY_UPDATED
        assert [item.status for item in outcome.answer.items] == [
            Code.UPDATED,
            Code.INVALID_REDEMPTION_IDS,
            Code.INVALID_REDEMPTION_IDS,
        ]
        assert desk.statuses(amend(mine, transaction_number="N2", custom_fields=(("b", "3"),)), amend(1)) == [
            Code.UPDATED,
            Code.ALL_FAILED,
        ]
        row, other = rows(database, t.redemption)
        kept = (row["amount"], row["transaction_number"], row["bill_id"], row["custom_fields"])
        assert kept == (12_500, "N2", 7, '{"a":"1","b":"3"}')
        assert (other["amount"], other["bill_id"], other["custom_fields"]) == (1_800_000, None, None)
        assert [rows(database, table) for table in (t.coupon, t.customer_series, t.series_counter, t.outbox)] == before

    def test_amended_twice_and_reversed_in_one_batch(self, desk: Desk, database: Database) -> None:
        open_shop(database)
        count_issued(database)
        (made,) = redeemed(desk, CODE)
        asked: list[Command] = [amend(made, bill_id=1), reverse(made), amend(made, amount=Decimal(3)), reverse(made)]
        assert statuses(database, *asked) == [Code.UPDATED, Code.PROCESSED, Code.UPDATED, Code.INVALID_REDEMPTION_IDS]
        (row,) = rows(database, t.redemption)
        assert (row["bill_id"], row["amount"], row["reversed_ms"]) == (1, 3000, NOW)
        assert wrongs(database) == []


def test_orgs_never_mix(desk: Desk, database: Database) -> None:
    """Another org's ids and codes are nothing here."""
    open_shop(database)
    open_shop(database, replace(coupon(), id=coupon_id(1, 2)), org_id=2)
    (made,) = redeemed(desk, CODE)
    before = [rows(database, table) for table in UNTOUCHED]
    (row,) = rows(database, t.coupon)
    assert desk.statuses(
        reverse(made, org_id=2),
        revoke(row["code"], org_id=2),
        redate(LATER, row["code"], org_id=2),
        several(1, org_id=2),
    ) == [Code.INVALID_REDEMPTION_IDS, Code.PROCESSED, Code.PROCESSED, Code.PROCESSED]
    assert [rows(database, table) for table in UNTOUCHED] == before
