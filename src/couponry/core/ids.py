"""Ids of coupons and redemptions: kind, org and serial in one number below 2**53.

The org inside the id lets one org's request name another org's coupon by id (715) without a query that reads the other org.
The kind bit keeps coupon ids and redemption ids apart (contract corrections, 1).
"""

from typing import Final

from couponry.core.limits import ORG_BITS, SERIAL_BITS

COUPON: Final = 0
REDEMPTION: Final = 1
_ORG_MASK: Final = (1 << ORG_BITS) - 1


def first_id(kind: int, org_id: int, serial: int) -> int:
    """The id that the given serial of an org stands for; the next serials have the next ids."""
    assert 0 < org_id <= _ORG_MASK, "org ids are handed out by us"
    assert 0 <= serial < 1 << SERIAL_BITS, "the org has used up its ids"
    return (kind << (ORG_BITS + SERIAL_BITS)) | (org_id << SERIAL_BITS) | serial


def org_of(entity_id: int) -> int:
    """The org that an id was handed out for; 0 for a number that never was an id."""
    return (entity_id >> SERIAL_BITS) & _ORG_MASK if entity_id > 0 else 0


def is_coupon_id(entity_id: int) -> bool:
    """Whether the number lies in the range of coupon ids of some org."""
    return entity_id > 0 and entity_id >> (ORG_BITS + SERIAL_BITS) == COUPON and org_of(entity_id) > 0
