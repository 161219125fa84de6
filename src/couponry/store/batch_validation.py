"""What customers may be validated with: the codes sent to them, and their missed calls (rules 10).

Asked for only where a coupon of a series that requires validation is shown with either, so that nobody else pays for it.
"""

from collections.abc import Callable

from couponry.core.commands import Item
from couponry.core.limits import MINUTE_MS
from couponry.core.model import Org
from couponry.core.validation import MissedCall, ValidationCode
from couponry.store.batch import Batch


def validations(batch: Batch, org: Org) -> None:
    """The unused codes and calls of those who are to be validated, locked when they may be used."""
    state, selects, is_writing = batch.state, batch.selects, batch.tx.is_writing
    since_ms = state.now_ms - org.settings.otp_validity_minutes * MINUTE_MS
    coded = _whose(batch, lambda item: bool(item.validation_mac) and not item.by_missed_call)
    codes = selects.locked_validation_codes if is_writing else selects.validation_codes
    keys = [(customer_id, state.now_ms) for customer_id in coded]
    for customer_id, *code in codes.rows(batch.tx, batch.org_id, keys):
        state.validation_codes[customer_id] = (*state.validation_codes.get(customer_id, ()), ValidationCode(*code))
    calling = _whose(batch, lambda item: item.by_missed_call)
    calls = selects.locked_missed_calls if is_writing else selects.missed_calls
    for customer_id, *call in calls.rows(batch.tx, batch.org_id, [(customer_id, since_ms) for customer_id in calling]):
        state.missed_calls[customer_id] = (*state.missed_calls.get(customer_id, ()), MissedCall(*call))


def _whose(batch: Batch, is_meant: Callable[[Item], bool]) -> list[int]:
    """The customers who show such an item while one of their coupons is of a series that requires validation."""
    return sorted(
        {
            customer_id
            for items, customer_id in batch.claims
            if customer_id and any(map(is_meant, items)) and batch.asks_validation(items, customer_id)
        }
    )
