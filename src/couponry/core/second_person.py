"""Maker-checker: what one person asks for and another allows."""

from decimal import Decimal
from typing import Final, Literal, get_args

ApprovalState = Literal["pending", "approved", "refused", "withdrawn", "expired"]
STATES: Final[tuple[ApprovalState, ...]] = get_args(ApprovalState)


def needs_second_person(amount: Decimal | None, above: int) -> bool:
    """Whether what may cost `amount` (None: no bound) needs another's approval; of `above`, 0 means always and -1 never."""
    if above <= 0:
        return above == 0
    return amount is None or amount > above
