"""Whatever many tills do at the same moment, over however many processes: no limit is exceeded, nobody is told 5xx, and the
database holds what the tills were told (design 1.1, 1.4).
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from tests.e2e.books import books_hold
from tests.e2e.conftest import copied
from tests.e2e.installation import Server
from tests.e2e.stock import CUSTOMERS, ROUND, ROUNDS, code
from tests.e2e.wire import Reply, Request, at_once, redeem


@pytest.fixture(
    scope="module", params=[("postgresql", 4), ("sqlite", 1), ("sqlite", 2)], ids=["postgresql-4", "sqlite-1", "sqlite-2"]
)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all races; each has coupons of its own."""
    kind, workers = request.param
    for installation in copied(kind, request, tmp_path_factory.mktemp("races")):
        with installation.serve(workers) as running:
            assert len(running.children) >= workers
            yield running


def race(server: Server, requests: Sequence[Request], codes: dict[int, int], *, of: str) -> list[Reply]:
    """All at once: so many are told each code, and then the books agree with what was told about coupons `of` this name."""
    replies = at_once(server.port, requests)
    assert {reply.http for reply in replies} == {200}
    assert Counter(reply.code for reply in replies) == codes
    told = {redeemed for reply in replies for redeemed in reply.redeemed}
    books_hold(server.installation, told, of)
    return replies


def test_one_coupon(server: Server) -> None:
    asked = [redeem(code("ONCE", 0), number=f"once{number}") for number in range(64)]
    race(server, asked, {700: 1, 711: 63}, of=code("ONCE", 0))


def test_series_cap(server: Server) -> None:
    asked = [redeem(code("CAPPED", number), customer=number % CUSTOMERS) for number in range(500)]
    race(server, asked, {700: 100, 714: 400}, of="CAPPED-*")


def test_customer_limit_of_a_shared_code(server: Server) -> None:
    """Also who gets the one record that each customer has of the code."""
    asked = [redeem("shared", customer=number % CUSTOMERS, number=f"shared{number}") for number in range(10 * CUSTOMERS)]
    replies = race(server, asked, {700: 2 * CUSTOMERS, 728: 8 * CUSTOMERS}, of="SHARED")
    by_customer = Counter(customer for reply in replies for _, _, customer in reply.redeemed)
    assert set(by_customer.values()) == {2}
    assert len(by_customer) == CUSTOMERS


def test_code_limit(server: Server) -> None:
    asked = [redeem(code("FEW", 0), customer=number % CUSTOMERS, number=f"few{number}") for number in range(60)]
    race(server, asked, {700: 5, 736: 55}, of="FEW-*")


def test_overlapping_requests_in_opposite_order(server: Server) -> None:
    """Of two requests that share 50 of their 100 coupons one wins them all, the other none: no deadlock is ever told."""
    told = set()
    for turn in range(ROUNDS):
        codes = [code("CROSS", turn * ROUND + number) for number in range(ROUND)]
        forth, back = codes[:100], codes[:-101:-1]
        replies = at_once(server.port, [redeem(*forth, customer=1), redeem(*back, customer=2)] * 3)
        assert {reply.http for reply in replies} == {200}
        winners = [reply for reply in replies if reply.code == 700]
        assert len(winners) == 1
        assert Counter(reply.code for reply in replies if reply.code != 700) == {500: 2, 759: 3}
        assert {tuple(sorted(Counter(reply.codes).items())) for reply in replies if reply.code == 759} == {((711, 50), (749, 50))}
        told |= set(winners[0].redeemed)
        assert len(told) == 100 * (turn + 1)
    books_hold(server.installation, told, "CROSS-*")


def test_same_bill(server: Server) -> None:
    """One redemption, and twenty equal answers."""
    asked = [redeem(code("ONCE", 1), code("ONCE", 2), number="INV-1")] * 20
    replies = race(server, asked, {700: 20}, of="ONCE-00[12]")
    assert Counter(reply.replayed for reply in replies) == {"": 1, "derived": 19}
    assert all(reply.body == replies[0].body for reply in replies)


def test_same_key(server: Server) -> None:
    """One redemption; who comes while it runs is told so (796), who comes after it gets its answer."""
    replies = at_once(server.port, [redeem(code("ONCE", 3), key="key-1")] * 20)
    codes = Counter(reply.code for reply in replies)
    assert codes[700] >= 1
    assert codes.keys() <= {700, 796}
    answers = [reply for reply in replies if reply.code == 700]
    assert Counter(reply.replayed for reply in answers) == {"": 1} | ({"true": len(answers) - 1} if len(answers) > 1 else {})
    assert all(reply.body == answers[0].body for reply in answers)
    assert {reply.http for reply in replies if reply.code == 796} <= {500}
    (later,) = at_once(server.port, [redeem(code("ONCE", 3), key="key-1")])
    assert (later.body, later.replayed) == (answers[0].body, "true")
    books_hold(server.installation, set(answers[0].redeemed), code("ONCE", 3))


def test_same_key_for_other_coupons(server: Server) -> None:
    """A key stands for one body: of two bodies at once one is answered, the other is told that the key is taken."""
    asked = [redeem(code("ONCE", 4 + number % 2), key="key-2") for number in range(20)]
    replies = at_once(server.port, asked)
    redeemed = {redeemed for reply in replies for redeemed in reply.redeemed}
    assert len(redeemed) == 1
    assert {reply.code for reply in replies} <= {700, 629, 796}
    books_hold(server.installation, redeemed, "ONCE-00[45]")
