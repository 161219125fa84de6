"""What an issue leaves in the database: coupons from each source, counters, messages; and where codes come from."""

from collections import Counter

import msgspec
import pytest

from couponry.core.commands import Command, Issue
from couponry.core.model import ExpiryStrategy, Handling
from couponry.core.plan import IssueAnswer, IssuedItem
from couponry.core.series import Series
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.engine import Database
from tests.core.world import DAY_MS, NOBODY, NOOR, NOW, coupon, coupon_id, customer, key, pool_coupon, redeem, series
from tests.ledger.desk import Clock, Desk, in_one_batch
from tests.ledger.orders import issue, reverse, revoke, several
from tests.ledger.rows import NEW_COUPON_SERIAL, count_issued, open_shop, rows, run_sql, write, wrongs

MANY = {"is_multiple_vouchers_per_user_allowed": True}
SECRET = b"s" * 32


def answer(desk: Desk, command: Issue) -> IssueAnswer:
    (outcome,) = desk.outcomes(command)
    assert isinstance(outcome.answer, IssueAnswer)
    return outcome.answer


def item(desk: Desk, command: Issue) -> IssuedItem:
    (only,) = answer(desk, command).items
    return only


def codes(desk: Desk, command: Issue) -> list[str]:
    return [each.code for found in answer(desk, command).items for each in found.coupons]


def told(database: Database) -> list[tuple[str, list[int], int]]:
    """Events with their subjects and customers."""
    return [
        (row["event"], msgspec.json.decode(row["subject_ids"] or f"[{row['subject_id']}]"), row["customer_id"])
        for row in rows(database, t.outbox)
    ]


def new_terms(database: Database, changed: Series) -> None:
    """A next version of a series' terms."""
    terms = msgspec.json.encode(changed.terms).decode().replace("'", "''")
    run_sql(
        database,
        f"INSERT INTO series_version (org_id, series_id, version, terms, created_ms) "
        f"SELECT 1, {changed.id}, version + 1, '{terms}', 0 FROM series WHERE id = {changed.id}",
        f"UPDATE series SET version = version + 1 WHERE id = {changed.id}",
    )


def test_generated_coupon_leaves_its_rows(desk: Desk, database: Database) -> None:
    open_shop(
        database, series(1, expiry_strategy_type=ExpiryStrategy.DAYS, expiry_strategy_value=3), series(2), coupon(series_id=2)
    )
    count_issued(database)
    details = '{"sourceType":"CALL"}'
    given = answer(desk, issue(details=details, request_id="req-1"))
    (found,) = given.items
    (made,) = found.coupons
    assert (given.status, found.status, found.cut, found.warnings) == (Code.PROCESSED, Code.PROCESSED, None, ())
    assert given.customer
    assert given.customer.id == 1
    assert (made.expires_local, made.redeemed) == ("2031-03-13T23:59:59", 0)
    (row,) = (row for row in rows(database, t.coupon) if row["series_id"] == 1)
    assert row == {
        "org_id": 1,
        "id": made.coupon_id,
        "series_id": 1,
        "code": made.code,
        "code_key": made.code.upper(),
        "holder_id": 0,
        "revision": 0,
        "customer_id": 1,
        "issued_ms": NOW,
        "issued_till_id": 11,
        "issue_details": details,
        "issued_by_redemption": False,
        "expires_local": "2031-03-13T23:59:59",
        "revoked_ms": None,
        "redeemed": 0,
        "uses": 0,
        "created_ms": NOW,
    }
    assert made.coupon_id == coupon_id(NEW_COUPON_SERIAL)
    (standing,) = (row for row in rows(database, t.customer_series) if row["series_id"] == 1)
    counted = {"issued": 1, "redeemed": 0, "uses": 0, "last_issued_ms": NOW, "last_redeemed_ms": None}
    assert standing == {"org_id": 1, "customer_id": 1, "series_id": 1, **counted}
    (counter,) = (row for row in rows(database, t.series_counter) if row["series_id"] == 1 and row["issued"])
    assert counter["stripe"] != t.CAPPED_STRIPE
    assert (counter["issued"], counter["last_issued_ms"], counter["redeemed"]) == (1, NOW, 0)
    assert told(database) == [("CouponIssue", [made.coupon_id], 1), ("IssueMessage", [made.coupon_id], 1)]
    assert {(row["request_id"], row["created_ms"], row["subject_ids"]) for row in rows(database, t.outbox)} == {
        ("req-1", NOW, None)
    }
    assert rows(database, t.redemption) == rows(database, t.refusal) == rows(database, t.idempotency) == []
    assert wrongs(database) == []
    assert desk.statuses(redeem(made.code)) == [Code.PROCESSED]
    assert wrongs(database) == []


def test_several_coupons_are_one_event(desk: Desk, database: Database) -> None:
    open_shop(database, series(1, **MANY, max_create=5), coupon())
    count_issued(database)
    found = item(desk, several(3))
    ids = [each.coupon_id for each in found.coupons]
    assert ids == [coupon_id(NEW_COUPON_SERIAL + number) for number in range(3)]
    assert told(database) == [("CouponIssue", ids, 1), ("IssueMessage", ids, 1)]
    assert [row["subject_ids"] for row in rows(database, t.outbox)] == [str(ids).replace(" ", "")] * 2
    cut = item(desk, several(3))
    assert (len(cut.coupons), cut.cut) == (1, Code.CUT_BY_SERIES)
    assert desk.statuses(several(3), issue()) == [Code.SERIES_LIMIT_REACHED] * 2
    (counter,) = rows(database, t.series_counter)
    assert (counter["stripe"], counter["issued"], counter["issued_max"]) == (t.CAPPED_STRIPE, 5, 5)
    assert wrongs(database) == []


def test_pool_gives_its_oldest_first(desk: Desk, database: Database) -> None:
    """And what a bearer has redeemed is not given out, also when that happened in the same batch."""
    pool = series(1, client_handling_type=Handling.UPLOADED, any_user=True, **MANY)
    open_shop(database, pool, *(pool_coupon(number, f"P{number}") for number in range(1, 7)))
    assert codes(desk, issue(details="{}")) == ["P1"]
    redeemed, given = in_one_batch(database, redeem("P2", customer=(NOOR,)), issue(customer=(NOOR,)))
    assert isinstance(given.answer, IssueAnswer)
    assert redeemed.answer.status is Code.PROCESSED
    assert [each.code for each in given.answer.items[0].coupons] == ["P3"]
    last = item(desk, several(9))
    assert ([each.code for each in last.coupons], last.cut) == (["P4", "P5", "P6"], Code.CUT_BY_POOL)
    assert desk.statuses(issue(), several(2)) == [Code.NO_CODE_LEFT] * 2
    first, bearer, *_ = rows(database, t.coupon)
    assert (first["id"], first["customer_id"], first["issued_till_id"], first["issue_details"]) == (coupon_id(1), 1, 11, "{}")
    assert (bearer["customer_id"], bearer["issued_ms"], bearer["redeemed"]) == (None, None, 1)
    assert wrongs(database) == []


def test_pooled_code_past_its_own_expiry_is_passed_over(desk: Desk, database: Database) -> None:
    pool = series(1, client_handling_type=Handling.UPLOADED, **MANY)
    open_shop(database, pool, pool_coupon(1, "P1", expires_local="2031-03-10T11:59:59"), pool_coupon(2, "P2"))
    assert codes(desk, issue()) == ["P2"]
    assert answer(desk, issue()).status is Code.NO_CODE_LEFT


def test_expiry_of_a_pooled_code_stays(desk: Desk, database: Database) -> None:
    pool = series(1, client_handling_type=Handling.UPLOADED, expiry_strategy_type=ExpiryStrategy.DAYS, **MANY)
    open_shop(database, pool, pool_coupon(1, "P1", expires_local="2031-03-31T10:00:00"), pool_coupon(2, "P2"))
    assert [each.expires_local for each in item(desk, several(2)).coupons] == ["2031-03-31T10:00:00", "2031-03-11T23:59:59"]
    assert wrongs(database) == []


def test_shared_code_is_a_record_each(desk: Desk, database: Database) -> None:
    shared = series(1, client_handling_type=Handling.SHARED, generic_code="Shared", **MANY)
    open_shop(database, shared, pool_coupon(1, "Shared"))
    assert codes(desk, issue()) == codes(desk, issue(customer=(NOOR,))) == ["Shared"]
    assert desk.statuses(issue(), several(2)) == [Code.HOLDS_A_COUPON] * 2
    public, *own = rows(database, t.coupon)
    assert (public["holder_id"], public["customer_id"], public["issued_ms"]) == (0, None, None)
    assert [(row["holder_id"], row["customer_id"], row["issued_by_redemption"]) for row in own] == [(1, 1, False), (2, 2, False)]
    assert desk.statuses(redeem("shared")) == [Code.PROCESSED]
    assert wrongs(database) == []


def test_shared_code_redeemed_and_issued_in_one_batch(database: Database) -> None:
    """Whoever comes first makes the customer's one record; prevents a second one, over which the batch would break."""
    shared = series(1, client_handling_type=Handling.SHARED, generic_code="SHARED", any_user=True)
    open_shop(database, shared, pool_coupon(1, "SHARED"), customer(3))
    third = (("mobile", "919812300003"),)
    asked: list[Command] = [
        *(redeem("SHARED"), issue()),
        *(issue(customer=(NOOR,)), redeem("SHARED", customer=(NOOR,)), issue(customer=third)),
    ]
    told = [outcome.answer.status for outcome in in_one_batch(database, *asked)]
    assert told == [Code.PROCESSED, Code.HOLDS_A_COUPON, *[Code.PROCESSED] * 3]
    made = [(row["holder_id"], row["issued_by_redemption"]) for row in rows(database, t.coupon)[1:]]
    assert sorted(made) == [(1, True), (2, False), (3, False)]
    assert wrongs(database) == []


def test_one_each_of_several_series(desk: Desk, database: Database) -> None:
    """Series by series, each by itself, the same one twice."""
    pool = series(2, client_handling_type=Handling.UPLOADED)
    shared = series(3, client_handling_type=Handling.SHARED, generic_code="SHARED")
    open_shop(
        database,
        series(1),
        pool,
        shared,
        series(4, **MANY),
        pool_coupon(1, "P1", series_id=2),
        pool_coupon(2, "SHARED", series_id=3),
    )
    given = answer(desk, issue(1, 2, 3, 1, 99, 4, 4))
    assert [found.status for found in given.items] == [
        *[Code.PROCESSED] * 3,
        Code.HOLDS_A_COUPON,
        Code.UNKNOWN_SERIES_NAMED,
        *[Code.PROCESSED] * 2,
    ]
    ids = [each.coupon_id for found in given.items for each in found.coupons]
    assert Counter(name for name, _, _ in told(database)) == {"CouponIssue": 5, "IssueMessage": 5}
    assert [subjects for name, subjects, _ in told(database) if name == "CouponIssue"] == [[each] for each in ids]
    kept = ("status", "series_id", "customer_id", "till_id", "code_sent", "coupon_id", "refused_ms")
    assert [tuple(row[name] for name in kept) for row in rows(database, t.refusal)] == [
        ("HOLDS_A_COUPON", 1, 1, 11, "", None, NOW),
        ("UNKNOWN_SERIES_NAMED", None, 1, 11, "", None, NOW),
    ]
    assert wrongs(database) == []


def test_refused_issue_leaves_a_trace_alone(desk: Desk, database: Database) -> None:
    open_shop(database, coupon(1, "HELD"))
    count_issued(database)
    watched = (t.coupon, t.customer_series, t.series_counter, t.outbox, t.idempotency)
    before = [rows(database, table) for table in watched]
    asked = [issue(request_id="r1"), issue(customer=(NOBODY,), request_id="r2"), issue(9, request_id="r3")]
    assert desk.statuses(*asked) == [Code.HOLDS_A_COUPON, Code.CUSTOMER_NOT_FOUND, Code.UNKNOWN_SERIES]
    assert [rows(database, table) for table in watched] == before
    assert [(row["status"], row["series_id"], row["customer_id"], row["request_id"]) for row in rows(database, t.refusal)] == [
        ("HOLDS_A_COUPON", 1, 1, "r1"),
        ("CUSTOMER_NOT_FOUND", 1, None, "r2"),
        ("UNKNOWN_SERIES", None, 1, "r3"),
    ]


def test_coupon_sent_again(desk: Desk, database: Database) -> None:
    open_shop(database, series(1, do_not_resend_existing_voucher=False), coupon(1, "OLD"), coupon(2, "LATE"))
    count_issued(database)
    found = item(desk, issue())
    assert ([each.code for each in found.coupons], found.warnings) == (["LATE"], (Code.RESENT,))
    assert told(database) == [("ResendMessage", [coupon_id(2)], 1)]
    assert len(rows(database, t.coupon)) == 2
    assert wrongs(database) == []


@pytest.mark.parametrize("again", ["redeemed", "revoked", "expired"])
def test_live_coupon_stands_in_the_way(desk: Desk, database: Database, again: str) -> None:
    """One that is redeemed, revoked or expired does not; a redemption taken back puts it there again."""
    lasting = {"expiry_strategy_type": ExpiryStrategy.DAYS, "expiry_strategy_value": 0}
    open_shop(database, series(1, **lasting, is_multiple_use_allowed=True), series(2), coupon(series_id=2))
    count_issued(database)
    (code,) = codes(desk, issue())
    assert desk.statuses(issue()) == [Code.HOLDS_A_COUPON]
    if again == "expired":
        assert isinstance(desk.clock, Clock)
        desk.clock.now_ms += DAY_MS
    else:
        assert desk.statuses(redeem(code) if again == "redeemed" else revoke(code)) == [Code.PROCESSED]
    assert desk.statuses(issue()) == [Code.PROCESSED]
    if again == "redeemed":
        (made,) = rows(database, t.redemption)
        second = next(row["code"] for row in rows(database, t.coupon) if row["series_id"] == 1 and not row["redeemed"])
        assert desk.statuses(revoke(second), reverse(made["id"])) == [Code.PROCESSED] * 2
        assert desk.statuses(issue()) == [Code.HOLDS_A_COUPON]
    assert wrongs(database) == []


def test_revoked_ones_do_not_count_for_the_customer(desk: Desk, database: Database) -> None:
    """`maxVouchersPerUser` counts them no more, `maxCreate` does."""
    open_shop(database, series(1, **MANY, max_vouchers_per_user=2, max_create=3), series(2), coupon(series_id=2))
    first, _ = codes(desk, several(5))
    assert desk.statuses(issue()) == [Code.CUSTOMER_HAS_ENOUGH]
    assert desk.statuses(revoke(first)) == [Code.PROCESSED]
    assert desk.statuses(issue()) == [Code.PROCESSED]
    assert desk.statuses(revoke(), issue()) == [Code.PROCESSED, Code.SERIES_LIMIT_REACHED]
    (standing,) = rows(database, t.customer_series)
    assert (standing["issued"], standing["last_issued_ms"]) == (0, NOW)


def test_days_between_issues(desk: Desk, database: Database) -> None:
    open_shop(database, series(1, **MANY, min_days_between_vouchers=1), series(2), coupon(series_id=2))
    assert desk.statuses(issue(), issue()) == [Code.PROCESSED, Code.ISSUED_TOO_SOON]
    assert isinstance(desk.clock, Clock)
    desk.clock.now_ms += DAY_MS
    assert desk.statuses(issue(), issue()) == [Code.PROCESSED, Code.ISSUED_TOO_SOON]


def test_last_issue_is_the_latest(desk: Desk, database: Database) -> None:
    """Whatever another process takes for now."""
    open_shop(database, series(1, **MANY), series(2), coupon(series_id=2))
    assert desk.statuses(issue()) == [Code.PROCESSED]
    assert isinstance(desk.clock, Clock)
    desk.clock.now_ms -= 1000
    assert desk.statuses(issue()) == [Code.PROCESSED]
    (standing,) = rows(database, t.customer_series)
    assert (standing["issued"], standing["last_issued_ms"]) == (2, NOW)


def test_exclusive_series(desk: Desk, database: Database) -> None:
    open_shop(database, series(1, mutual_exclusive_series_ids="[2]"), series(2), coupon(1, "OTHER", series_id=2))
    count_issued(database)
    assert desk.statuses(issue(), issue(customer=(NOOR,))) == [Code.EXCLUDED, Code.PROCESSED]
    assert desk.statuses(revoke("OTHER", series_id=2)) == [Code.PROCESSED]
    assert desk.statuses(issue(), issue(2)) == [Code.PROCESSED] * 2
    assert wrongs(database) == []


def test_record_of_a_redeemer_excludes_too(database: Database) -> None:
    """Whether it was made in this batch or long ago."""
    shared = series(2, client_handling_type=Handling.SHARED, any_user=True)
    open_shop(database, series(1, mutual_exclusive_series_ids="[2]"), shared, pool_coupon(1, "SHARED", series_id=2))
    told = in_one_batch(database, redeem("SHARED"), issue(), issue(customer=(NOOR,)))
    assert [outcome.answer.status for outcome in told] == [Code.PROCESSED, Code.EXCLUDED, Code.PROCESSED]
    assert [outcome.answer.status for outcome in in_one_batch(database, issue())] == [Code.EXCLUDED]
    assert wrongs(database) == []


def test_explicit_key_issues_once(desk: Desk, database: Database) -> None:
    open_shop(database, series(1, **MANY), series(2), coupon(series_id=2))
    count_issued(database)
    commands = [issue(key=key("k1")), several(2, key=key("k2")), issue(1, 1, key=key("k3")), issue(9, key=key("k4"))]
    first = desk.outcomes(*commands)
    again = desk.outcomes(*commands)
    assert [outcome.answer for outcome in first] == [outcome.answer for outcome in again]
    assert [outcome.replayed for outcome in again] == ["true"] * 4
    assert first[3].answer.status is Code.UNKNOWN_SERIES
    assert desk.statuses(issue(key=key("k1", body="other"))) == [Code.INVALID_INPUT]
    assert len(rows(database, t.coupon)) == 1 + 1 + 2 + 2
    assert len(rows(database, t.refusal)) == 1
    with Desk(database.url) as second:
        (outcome,) = second.outcomes(commands[1])
    assert (outcome.answer, outcome.replayed) == (first[1].answer, "true")
    assert wrongs(database) == []


# Codes.


def test_affixes_of_series_and_org(desk: Desk, database: Database) -> None:
    own = {"coupon_prefix": "se-", "is_prefix_enabled": True, "coupon_suffix": "_z", "is_suffix_enabled": True, **MANY}
    open_shop(
        database, series(1, **own), series(2, **own, org_prefix_override=True, org_suffix_override=True), coupon(series_id=1)
    )
    (code,) = codes(desk, issue(2))
    assert (code[:3], code[-2:], len(code)) == ("se-", "_z", 13)
    (code,) = codes(desk, issue())
    assert (code[:3], code[-2:]) == ("se-", "_z")
    run_sql(database, """UPDATE org SET version = 2, settings = '{"codePrefix":"ORG","codeSuffix":"-O"}'""")
    (code,) = codes(desk, issue())
    assert (code[:3], code[-2:], len(code)) == ("ORG", "-O", 13)
    (code,) = codes(desk, issue(2))
    assert (code[:3], code[-2:]) == ("se-", "_z")
    assert desk.statuses(redeem(code.upper())) == [Code.PROCESSED]


def test_new_terms_shape_the_next_code(desk: Desk, database: Database) -> None:
    open_shop(database, series(1, **MANY), series(2), coupon(series_id=2))
    before = codes(desk, several(3))
    new_terms(database, series(1, **MANY, alpha_numeric=False, random_code_length=12))
    after = codes(desk, several(3))
    assert {len(code) for code in before} == {8}
    assert all(code.isdecimal() and len(code) == 12 for code in after)
    new_terms(database, series(1, **MANY))
    assert not {*before} & {*codes(desk, several(3))}
    assert len(rows(database, t.coupon)) == 10


def upcoming(database: Database, count: int) -> list[str]:
    """The codes that a ledger of this secret issues first: looked up in a shop that is then as if nothing had been."""
    with Desk(database.url, secret=SECRET) as spy:
        found = codes(spy, several(count))
    run_sql(
        database, "UPDATE series SET codes_made = 0", *(f"DELETE FROM {name}" for name in ("coupon", "customer_series", "outbox"))
    )
    return found


def test_uploaded_code_is_passed_over(database: Database) -> None:
    """Whatever became of it: the unique index tells, and from then on codes are looked up."""
    open_shop(database, series(1, **MANY), series(2), coupon(series_id=2))
    expected = upcoming(database, 6)
    uploaded = [pool_coupon(1, expected[0].lower(), series_id=2), coupon(2, expected[3], series_id=2)]
    write(database, *uploaded)
    with Desk(database.url, secret=SECRET) as desk:
        assert codes(desk, issue()) == [expected[1]]
        assert codes(desk, several(3)) == [expected[2], expected[4], expected[5]]


@pytest.mark.parametrize("secret", [SECRET, b"t" * 32])
def test_restart_repeats_no_code(database: Database, secret: bytes) -> None:
    """Nor does another secret, whose codes are found taken by chance: four digits, a third of them in use."""
    open_shop(database, series(1, **MANY, alpha_numeric=False, random_code_length=4), series(2), coupon(series_id=2))
    made: list[str] = []
    for turn in range(8):
        with Desk(database.url, secret=SECRET if turn % 2 else secret) as desk:
            made += codes(desk, several(400))
    assert len(made) == len({*made}) == 3200


def test_dense_space_is_used_up_and_then_722(database: Database) -> None:
    """Most of the four-digit codes are taken: 20 tries find one of the others, until there is none."""
    small = {"alpha_numeric": False, "random_code_length": 4, **MANY}
    free = {f"{number:04}" for number in range(7, 10_000, 100)}
    taken = sorted({f"{number:04}" for number in range(10_000)} - free)
    open_shop(database, series(1, **small), series(2), *(pool_coupon(at, code, series_id=2) for at, code in enumerate(taken, 1)))
    with Desk(database.url, secret=SECRET) as desk:
        made: list[str] = []
        told = Counter[Code]()
        for _ in range(600):
            given = answer(desk, issue())
            told[given.status] += 1
            made += [each.code for found in given.items for each in found.coupons]
            if sum(told.values()) > 500 and told[Code.NO_CODE_LEFT] > 400:
                break
        assert set(told) == {Code.PROCESSED, Code.NO_CODE_LEFT}
        assert set(made) == free
        assert len(made) == 100
        assert desk.statuses(several(5), issue(1, 1)) == [Code.NO_CODE_LEFT, Code.PROCESSED]


def test_code_space_ends_with_722(database: Database) -> None:
    """All 10,000 codes of four digits, and not one more; nothing is wasted by refusals in between."""
    open_shop(database, series(1, **MANY, alpha_numeric=False, random_code_length=4), series(2), coupon(series_id=2))
    with Desk(database.url, secret=SECRET) as desk:
        made: list[str] = []
        for _ in range(20):
            made += codes(desk, several(500))
        assert desk.statuses(several(5), issue()) == [Code.NO_CODE_LEFT] * 2
    assert len({*made}) == 10_000
    with Desk(database.url, secret=SECRET) as desk:
        assert desk.statuses(issue()) == [Code.NO_CODE_LEFT]


def test_two_small_series_share_no_code(desk: Desk, database: Database) -> None:
    """Their codes are bound to meet within a batch."""
    small = {"alpha_numeric": False, "random_code_length": 4, **MANY}
    open_shop(database, series(1, **small), series(2, **small), series(3), coupon(series_id=3))
    commands = [several(200, 1 + number % 2) for number in range(10)]
    assert desk.statuses(*commands) == [Code.PROCESSED] * 10
    assert len({row["code"] for row in rows(database, t.coupon)}) == 2001
    assert sum(row["codes_made"] for row in rows(database, t.series)) < 5000
