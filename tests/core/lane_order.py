"""Commands as they come to `decide`: of what existed before their batch, and in an order that a lane would put into one batch.

What tests draw names coupons and redemptions by their place among those that there are, since ids and codes of the batch itself
are nobody's yet: nobody has been answered.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from couponry.core.commands import Amend, Check, Command, Issue, Item, Redate, Redeem, Resend, Reverse, Revoke
from tests.core.books import Books
from tests.core.world import redemption_id

_UNKNOWN = redemption_id(999_999)


def batches(commands: Sequence[Command]) -> list[list[Command]]:
    """What customers hold is loaded once a batch: whoever asks for all of it does not come behind what changes it.

    The rule for issues is the lane's. That a customer's coupons are revoked before others come to them is asked of it as well.
    """
    cut: list[list[Command]] = [[]]
    for command in commands:
        kinds = tuple(map(type, cut[-1]))
        is_revoking_all = isinstance(command, Revoke) and not command.codes
        changes = {Reverse, Revoke, Redate} if isinstance(command, Issue) else {Reverse, Issue} if is_revoking_all else set()
        if changes.intersection(kinds):
            cut.append([])
        cut[-1].append(command)
    return cut


def resolved(books: Books, commands: Sequence[Command]) -> list[Command]:
    """The same commands, with `#3` for the fourth coupon's code, and 3 for the fourth redemption's id."""
    return [_resolved(books, command) for command in commands]


def _resolved(books: Books, command: Command) -> Command:
    match command:
        case Redeem() | Check():
            return replace(command, items=tuple(_item(books, item) for item in command.items))
        case Revoke():
            return replace(command, codes=tuple(dict.fromkeys(_code(books, code) for code in command.codes)))
        case Redate():
            return replace(command, expiries=tuple((_code(books, code), at_ms) for code, at_ms in command.expiries))
        case Reverse():
            return replace(command, redemption_ids=tuple(_redemption(books, each) for each in command.redemption_ids))
        case Amend():
            sent = tuple(replace(each, redemption_id=_redemption(books, each.redemption_id)) for each in command.amendments)
            return replace(command, amendments=sent)
        case Issue() | Resend():
            return command


def _item(books: Books, item: Item) -> Item:
    return item if item.code is None else replace(item, code=_code(books, item.code))


def _code(books: Books, code: str) -> str:
    if not code.startswith("#"):
        return code
    coupons = sorted(books.coupons)
    return books.coupons[coupons[int(code[1:]) % len(coupons)]].code if coupons else "UNKNOWN"


def _redemption(books: Books, place: int) -> int:
    if place >= 1_000:
        return place
    return books.redemptions[place % len(books.redemptions)].id if books.redemptions else _UNKNOWN
