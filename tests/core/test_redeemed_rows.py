"""Redemptions made elsewhere: what a row may say, which of its faults is told, and what a row that is taken leaves behind."""

from datetime import date
from decimal import Decimal
from typing import Any, Final

import pytest

from couponry.core.commands import Item
from couponry.core.ids import COUPON, first_id
from couponry.core.limits import REDEEMED_ELSEWHERE_MS_MIN
from couponry.core.model import ExpiryStrategy, Handling, Standing
from couponry.core.problem import Problem
from couponry.core.redeemed_rows import Recording, Told, UploadedRows, Use, told_by_import
from couponry.core.state import State
from tests.core.world import CODE, DAY_MS, MIRA, NOBODY, NOOR, NOW, ORG, coupon, coupon_id, customer, ms, org, place, pool_coupon
from tests.core.world import series as series_of
from tests.core.world import state as state_of

AT: Final = NOW - 30 * DAY_MS
"""Before the coupon of `coupon()` was issued: history is taken as fact."""
UPLOADED: Final = {"redeemedDateInMillis": str(AT), "redeemedAt": "11", "mobile": "9812300001", "couponCode": CODE}
IMPORTED: Final = {"code": CODE, "customerMobile": "9812300001", "redeemedOn": "2031-02-08 12:00:00", "tillCode": "till1"}


def told(code: str = CODE, **fields: Any) -> Told:
    return Told(**{"customer": MIRA, "item": Item(code), "redeemed_ms": AT, "till": 11, **fields})


def recording(world: State, made: set[Use] | None = None, series_id: int | None = None) -> Recording:
    assert world.org
    return Recording(world, world.org, made or set(), series_id)


def taken(one: Recording, *rows: Told) -> list[int | str | None]:
    """The code of each row, None for those that were taken."""
    found = [one.take(row, row.claim(ORG, place(), "job-1")) for row in rows]
    return [problem.code if problem else None for problem in found]


def test_first_fault_is_told() -> None:
    """One fault after the other is mended, and each time the next one is the answer (upload 2, status-codes 4)."""
    limits: dict[str, Any] = {"redemption_per_coupon_max_limit": 1, "max_redemptions_in_series_per_user": 1, "max_redeem": 1}
    for multiple, used_up in ((True, 716), (False, 711)):
        world = state_of(
            [coupon(redeemed=1, uses=1, is_revoked=True, customer_id=2)],
            [series_of(is_multiple_use_allowed=multiple, **limits)],
            [customer(1, gone=True), customer(2)],
            standings={(1, 1): Standing(1, 1, AT, is_stored=True)},
            uses={(coupon_id(1), 1): 1},
            series_redeemed={1: 1},
        )
        readable, made = world.series[1], {(coupon_id(1), 1, AT)}
        world.series[1] = None
        one = recording(world, made, series_id=2)
        elsewhere = Item(coupon_id=first_id(COUPON, ORG + 1, 1))
        assert taken(one, told(customer=None), told(customer=NOBODY), told()) == [701, 701, 721]
        world.customers[MIRA] = customer(1)
        assert taken(one, told("NONE"), told(""), told("no code"), told(item=elsewhere), told()) == [719, 719, 719, 715, 719]
        one = recording(world, made, series_id=1)
        codes = taken(one, told())
        world.series[1] = readable
        codes += taken(one, told())
        world.coupons[coupon_id(1)] = coupon(redeemed=1, uses=1, customer_id=2)
        codes += taken(one, told())
        world.coupons[coupon_id(1)] = coupon(redeemed=1, uses=1)
        codes += taken(one, told())
        made.clear()
        codes += taken(one, told())
        world.uses.clear()
        world.series[1] = series_of(is_multiple_use_allowed=True, **limits)
        codes += taken(one, told())
        world.coupons[coupon_id(1)] = coupon(uses=1)
        codes += taken(one, told())
        world.standings.clear()
        codes += taken(one, told())
        world.series_redeemed.clear()
        codes += taken(one, told())
        assert codes == [788, 660, 703, 633, used_up, 736, 728, 714, None]


def test_history_is_taken_as_fact() -> None:
    """Neither expiry, window, start, scope, amount, validation, gap, audience nor the customer's state is asked about."""
    hard: dict[str, Any] = {
        "valid_till_date": date(2031, 1, 1),
        "redemption_valid_after_days": 100,
        "redemption_range": '{"hours":[3]}',
        "redeem_at_store": "[99]",
        "min_bill_amount": Decimal(5000),
        "is_validation_required": True,
        "is_pre_redeem_event_required": True,
        "has_audience": True,
        "series_type": "TEST",
    }
    frowned_on = customer(1, fraud_status="CONFIRMED", status_label="SUSPENDED")
    expired = coupon(expires_local="2031-01-31T23:59:59")
    assert taken(recording(state_of([expired], [series_of(**hard)], [frowned_on])), told()) == [None]


def test_limits_within_one_file() -> None:
    """Each row sees the effects of those before it, and refused ones leave none."""
    multiple: dict[str, Any] = {"is_multiple_use_allowed": True, "same_user_multiple_redeem": True, "any_user": True}
    cases: list[tuple[dict[str, Any], list[int | None]]] = [
        ({"any_user": True}, [None, 633, 711, 711]),
        (multiple | {"same_user_multiple_redeem": False}, [None, 633, 716, None]),
        (multiple | {"redemption_per_coupon_max_limit": 2}, [None, 633, None, 736]),
        (multiple | {"max_redemptions_in_series_per_user": 1}, [None, 633, 728, None]),
        (multiple | {"max_redeem": 2}, [None, 633, None, 714]),
    ]
    for terms, expected in cases:
        one = recording(state_of(all_series=[series_of(**terms)]))
        rows = (told(), told(CODE.lower()), told(redeemed_ms=AT + 1), told(customer=NOOR, redeemed_ms=AT + 2))
        assert taken(one, *rows) == expected
        numbers = [(made.use_number, made.customer_use_number) for made in one.plan.redemptions]
        assert sorted(number for number, _ in numbers) == list(range(1, len(numbers) + 1))


def test_what_is_recorded() -> None:
    bill: dict[str, Any] = {"amount": Decimal("12.5"), "bill_number": "B-1", "bill_id": 77}
    world = state_of(standings={(1, 1): Standing(1, 3, AT + DAY_MS, is_stored=True)})
    one = recording(world)
    assert taken(one, told(item=Item(CODE, custom_fields=(("details", "cash"),)), **bill)) == [None]
    (made,) = one.plan.redemptions
    assert (made.redeemed_ms, made.till_id, made.store_id, made.amount, made.transaction_number) == (
        AT,
        11,
        21,
        Decimal("12.5"),
        "B-1",
    )
    assert (made.use_number, made.customer_use_number, made.custom_fields) == (1, 4, (("details", "cash"),))
    assert one.bill_ids == {made.id: 77}
    assert world.standings[1, 1] == Standing(2, 4, AT + DAY_MS, is_stored=True)
    assert world.now_ms == NOW


def test_shared_and_external_codes() -> None:
    """A record is made or bound as a redeem would have done it then (rules 3)."""
    days: dict[str, Any] = {"expiry_strategy_type": ExpiryStrategy.DAYS, "expiry_strategy_value": 3}
    shared: dict[str, Any] = {"client_handling_type": Handling.SHARED, "generic_code": "BIG10", "is_multiple_use_allowed": True}
    common = pool_coupon(1, "BIG10")
    assert taken(recording(state_of([common], [series_of(**shared)])), told("BIG10")) == [723]
    world = state_of([common], [series_of(any_user=True, same_user_multiple_redeem=True, **shared, **days)])
    one = recording(world)
    rows = (told("big10"), told("BIG10", redeemed_ms=AT + 1), told("BIG10"), told("BIG10", customer=NOOR))
    assert taken(one, *rows) == [None, None, 633, None]
    (given, other) = one.plan.new_coupons
    assert (given.coupon.holder_id, given.coupon.issued_ms, given.coupon.expires_local) == (1, AT, "2031-02-11T23:59:59")
    assert (other.coupon.customer_id, given.till_id) == (2, 11)
    assert [made.coupon_id for made in one.plan.redemptions] == [given.coupon.id, given.coupon.id, other.coupon.id]
    external: dict[str, Any] = {
        "external_issual": True,
        "client_handling_type": Handling.UPLOADED,
        "is_multiple_use_allowed": True,
    }
    one = recording(state_of([pool_coupon()], [series_of(same_user_multiple_redeem=True, **external)]))
    assert taken(one, told(customer=NOOR), told(), told(customer=NOOR, redeemed_ms=AT + 1)) == [None, 703, None]
    (bound,) = one.plan.given_coupons
    assert (bound.coupon.customer_id, bound.coupon.issued_ms, bound.coupon.issued_by_redemption) == (2, AT, True)
    bearer = series_of(any_user=True, client_handling_type=Handling.UPLOADED)
    one = recording(state_of([pool_coupon()], [bearer]))
    assert (taken(one, told()), one.plan.given_coupons, one.plan.new_coupons) == ([None], [], [])
    assert taken(recording(state_of([pool_coupon()], [series_of(client_handling_type=Handling.UPLOADED)])), told()) == [723]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("redeemedDateInMillis", text) for text in ("", "soon", "-5", "1e3", "9" * 20, str(AT // 1000), str(NOW + 2 * DAY_MS))),
        *(("redeemedDateInMillis", str(REDEEMED_ELSEWHERE_MS_MIN - 1)), ("redeemedDateInMillis", "²")),
        *(("redeemedAt", text) for text in ("", "till1", "-1", "9" * 20, "1.0")),
        *(("couponId", text) for text in ("", "x", "-1", "9" * 20)),
        *(("billId", text) for text in ("x", "-1", "9223372036854775808")),
        *(("billNumber", "9" * 256), ("details", "x" * 1001)),
    ],
)
def test_misshapen_uploads(name: str, text: str) -> None:
    cells = {**UPLOADED, name: text}
    wrong = UploadedRows(cells, org(), NOW).told(cells)
    assert isinstance(wrong, Problem)
    assert (wrong.code, name in wrong.detail) == (629, True)


def test_uploads_are_read() -> None:
    extra = {"billId": " 9223372036854775807 ", "billNumber": " B ", "details": "cash"}
    one = UploadedRows({**UPLOADED, **extra}, org(), NOW).told({**UPLOADED, **extra})
    assert one == told(item=Item(CODE, custom_fields=(("details", "cash"),)), bill_number="B", bill_id=2**63 - 1)
    by_ids = {**UPLOADED, "userId": "7", "couponId": "5", "externalId": "x", "redeemedDateInMillis": str(NOW + DAY_MS)}
    one = UploadedRows(by_ids, org(), NOW).told(by_ids)
    assert one == told(customer=("id", "7"), item=Item(coupon_id=5), redeemed_ms=NOW + DAY_MS)
    for kind, sent, normal in (("email", "A@B.example", ("email", "a@b.example")), ("externalId", " C1 ", ("externalId", "C1"))):
        cells = {**{name: text for name, text in UPLOADED.items() if name != "mobile"}, kind: sent}
        assert UploadedRows(cells, org(), NOW).told(cells) == told(customer=normal)
    cells = {**UPLOADED, "mobile": " "}
    assert UploadedRows(cells, org(), NOW).told(cells) == told(customer=None)


def test_imports_are_read() -> None:
    at_ms = ms("2031-02-08 12:00:00")
    expected = told(redeemed_ms=at_ms, till="till1")
    for written in ("2031-02-08 12:00:00", "2031-02-08T06:30:00Z", str(at_ms)):
        assert told_by_import({**IMPORTED, "redeemedOn": written}, org(), NOW) == expected
    more = {"customerExternalId": "C1", "billNumber": "B", "billAmount": "1500.50"}
    one = told_by_import({**IMPORTED, **more}, org(), NOW)
    assert one == told(customer=("externalId", "C1"), redeemed_ms=at_ms, till="till1", bill_number="B", amount=Decimal("1500.50"))
    for name, text in (
        *(("redeemedOn", wrong) for wrong in ("", "soon", "2031-13-01", "1931-01-01", "2032-01-01", "9" * 30)),
        *(("billAmount", wrong) for wrong in ("-1", "NaN", "1e3", "1,5", "9" * 16 + ".5", "9" * 40)),
        ("billNumber", "9" * 256),
    ):
        wrong = told_by_import({**IMPORTED, name: text}, org(), NOW)
        assert isinstance(wrong, Problem)
        assert (wrong.code, name in wrong.detail) == (629, True)
