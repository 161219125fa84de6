"""What reversal, revocation and updates of redemptions need beside the coupons that a batch names."""

from collections import Counter
from collections.abc import Iterable

from couponry.core.commands import Amend, Reverse, Revoke
from couponry.core.model import StoredRedemption
from couponry.store.batch import Batch
from couponry.store.rows import redemption_from_row


def redemptions(batch: Batch) -> None:
    """The redemptions that commands name, locked before all else."""
    wanted: set[int] = set()
    for command in batch.commands:
        if isinstance(command, Reverse):
            wanted.update(command.redemption_ids)
        elif isinstance(command, Amend):
            wanted.update(amendment.redemption_id for amendment in command.amendments)
    for row in batch.selects.redemptions.rows(batch.tx, batch.org_id, [(each,) for each in sorted(wanted)]):
        batch.state.redemptions[row[0]] = redemption_from_row(row)


def unredeemed(batch: Batch) -> None:
    """What customers hold of the series that all their coupons are to be revoked of."""
    pairs = {
        (customer_id, command.series_id)
        for command, customer_id in batch.asked
        if isinstance(command, Revoke) and not command.codes and command.series_id is not None
    }
    batch.state.unredeemed = {pair: [] for pair in pairs}
    for customer_id, series_id, coupon_id in batch.selects.unredeemed.rows(batch.tx, batch.org_id, sorted(pairs)):
        batch.state.unredeemed[customer_id, series_id].append(coupon_id)


def coupon_ids(batch: Batch) -> Iterable[int]:
    """The coupons that these commands are about, whatever their codes."""
    yield from (redemption.coupon_id for redemption in _to_reverse(batch))
    for held in batch.state.unredeemed.values():
        yield from held


def holders(batch: Batch) -> None:
    """Whose counts change: a redemption's customer, and the owner of a coupon that may be revoked."""
    state = batch.state
    for redemption in _to_reverse(batch):
        batch.shown.append((state.coupons[redemption.coupon_id], redemption.customer_id))
    if any(isinstance(command, Revoke) for command in batch.commands):
        batch.shown += [(coupon, coupon.customer_id) for coupon in state.coupons.values() if coupon.customer_id]


def active(batch: Batch) -> None:
    """The latest active redemptions of whoever has some reversed, one more than these: the latest that is left sets the gap."""
    state = batch.state
    pairs = Counter((redemption.customer_id, redemption.series_id) for redemption in _to_reverse(batch))
    state.active = {pair: {} for pair in pairs}
    keys = [(*pair, count + 1) for pair, count in sorted(pairs.items())]
    rows = batch.selects.active_redemptions.first_rows(batch.tx, batch.org_id, keys)
    for customer_id, series_id, redemption_id, redeemed_ms in rows:
        state.active[customer_id, series_id][redemption_id] = redeemed_ms


def _to_reverse(batch: Batch) -> list[StoredRedemption]:
    """What can be reversed of what is to be; an update of a bill needs no more than the redemption."""
    ids = {found for command in batch.commands if isinstance(command, Reverse) for found in command.redemption_ids}
    return [found for found in batch.state.redemptions.values() if found.id in ids and not found.is_undone]
