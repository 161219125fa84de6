"""What tills were told, held against what the database holds."""

from tests.e2e.installation import Installation, Server
from tests.e2e.wire import Load, Reply, at_once

Redeemed = tuple[int, str, int]
"""A redemption's id, its code, its customer."""


def books_hold(installation: Installation, told: set[Redeemed], of: str) -> None:
    """Of coupons of this name exactly those are redeemed that somebody was told of; and the doctor agrees."""
    assert [row[:3] for row in installation.redemptions(of)] == sorted(told)
    installation.check_books()


def reconcile(server: Server, load: Load) -> None:
    """Ask again for each bill that was not decided; then each has one redemption, which is what its till was told."""
    undecided = load.in_doubt + load.failed
    again = at_once(server.port, undecided)
    replies = load.told | {request.name: reply for request, reply in zip(undecided, again, strict=True)}
    assert {reply.code for reply in replies.values()} == {700}
    kept = server.installation.redemptions()
    by_bill = {row[3]: row[:3] for row in kept}
    assert len(by_bill) == len(kept), "a bill was redeemed twice"
    assert by_bill == {name: only(reply) for name, reply in replies.items()}
    server.installation.check_books()


def only(reply: Reply) -> Redeemed:
    """The one redemption that a reply tells of."""
    (redeemed,) = reply.redeemed
    return redeemed
