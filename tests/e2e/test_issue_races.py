"""Issue and reactivation by many tills at the same moment, over several processes: each coupon has one owner, each use one user.

Afterwards the database holds what the tills were told, and the doctor agrees.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.e2e.conftest import copied
from tests.e2e.installation import Server
from tests.e2e.stock import CUSTOMERS, QUEUE, code, series_id
from tests.e2e.wire import Reply, Request, at_once, customer_id, redeem, request


@pytest.fixture(scope="module", params=[("postgresql", 3), ("sqlite", 2)], ids=["postgresql-3", "sqlite-2"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all races; each has series of its own."""
    kind, workers = request.param
    for installation in copied(kind, request, tmp_path_factory.mktemp("issue_races")):
        with installation.serve(workers) as running:
            yield running


def issue(series: str, customer: int, key: str = "") -> Request:
    body = {"seriesId": series_id(series), "customer": {"externalId": customer_id(customer)}}
    return request("POST", "/v2/coupon/issue", body, headers={"Idempotency-Key": key} if key else {})


def several(series: str, customer: int, count: int) -> Request:
    body = {"seriesId": series_id(series), "count": count, "customer": {"externalId": customer_id(customer)}}
    return request("POST", "/v2/coupon/issue/multiple", body)


def reactivate(*redemption_ids: int) -> Request:
    return request("POST", "/v2/coupon/reactivate", {"redemptionIds": list(redemption_ids)})


def status(reply: Reply) -> int:
    """700, or the code of the failure."""
    return int(reply.body["errors"][0]["code"]) if reply.body.get("errors") else 700


def given(replies: Sequence[Reply]) -> list[tuple[int, str]]:
    """(id, code) of every coupon that somebody was told to have got."""
    told: list[dict[str, Any]] = []
    for reply in replies:
        told += reply.body.get("coupons", []) if "coupons" in reply.body else [reply.body] if "code" in reply.body else []
    return sorted((int(one.get("couponId") or one["id"]), one["code"]) for one in told)


def held(server: Server, series: str) -> list[tuple[int, str]]:
    """(id, code) of every coupon of the series that somebody has."""
    return [
        (int(row_id), str(found))
        for row_id, found in server.installation.query(
            f"SELECT id, code FROM coupon WHERE series_id = {series_id(series)} AND customer_id IS NOT NULL ORDER BY id"
        )
    ]


def test_series_cap(server: Server) -> None:
    """One at a time and three at once: a hundred in all, whoever gets them."""
    asked = [
        issue("GIVEN", number % CUSTOMERS) if number % 3 else several("GIVEN", number % CUSTOMERS, 3) for number in range(120)
    ]
    replies = at_once(server.port, asked)
    assert {status(reply) for reply in replies} <= {700, 714, 5001}
    assert len(given(replies)) == 100
    assert given(replies) == held(server, "GIVEN")
    server.installation.check_books()


def test_pool(server: Server) -> None:
    """No code twice, none left over."""
    asked = [issue("QUEUE", number % CUSTOMERS) for number in range(QUEUE + 50)]
    replies = at_once(server.port, asked)
    assert Counter(map(status, replies)) == {700: QUEUE, 722: 50}
    assert {reply.http for reply in replies} == {200, 400}
    assert [found for _, found in given(replies)] == [code("QUEUE", number) for number in range(QUEUE)]
    assert given(replies) == held(server, "QUEUE")
    server.installation.check_books()


def test_one_live_coupon(server: Server) -> None:
    """Each customer asks six times, never seen in the series before."""
    replies = at_once(server.port, [issue("SINGLE", number % CUSTOMERS) for number in range(6 * CUSTOMERS)])
    assert Counter(map(status, replies)) == {700: CUSTOMERS, 709: 5 * CUSTOMERS}
    assert given(replies) == held(server, "SINGLE")
    server.installation.check_books()


def test_same_key(server: Server) -> None:
    """One coupon; who comes while it is issued is told so (796), who comes after it gets the same answer."""
    replies = at_once(server.port, [issue("FEW", 1, key="issue-1")] * 20)
    answered = [reply for reply in replies if status(reply) != 796]
    assert {status(reply) for reply in answered} == {700}
    assert Counter(reply.replayed for reply in answered)[""] == 1
    assert all(reply.body == answered[0].body for reply in answered)
    assert given(answered[:1]) == held(server, "FEW")
    server.installation.check_books()


def test_reactivation_against_redeem(server: Server) -> None:
    """Ten coupons use up the cap of the series: what comes back is used once more, by whichever coupon is quickest."""
    first = at_once(server.port, [redeem(code("BACK", number)) for number in range(10)])
    redemptions = [redeemed[0] for reply in first for redeemed in reply.redeemed]
    assert len(redemptions) == 10
    asked: list[Request] = []
    for number, redemption in enumerate(redemptions):
        asked += [redeem(code("BACK", number)), reactivate(redemption), redeem(code("BACK", 10 + number)), reactivate(redemption)]
    replies = at_once(server.port, asked)
    undone = [reply for one, reply in zip(asked, replies, strict=True) if b"/reactivate" in one.sent]
    assert Counter(reply.body["success"] for reply in undone) == {True: 10, False: 10}
    assert {status(reply) for reply in undone} == {700, 510}
    told = [redeemed[0] for reply in replies if "redemption" in reply.body for redeemed in reply.redeemed]
    assert 0 < len(told) <= 10
    kept = server.installation.query(
        f"SELECT id, coupon_id FROM redemption WHERE series_id = {series_id('BACK')} AND reversed_ms IS NULL ORDER BY id"
    )
    assert [row_id for row_id, _ in kept] == sorted(told)
    assert len({coupon_id for _, coupon_id in kept}) == len(kept)
    server.installation.check_books()
