"""How many customers an audience has, while somebody waits: counted where they are few, else estimated from a sample of windows.

A window is so many ids in a row; windows lie evenly over all there are, so that what grew over the years has its share.
"""

from typing import Any, Final

from sqlalchemy import Select, func, select, union_all

from couponry.core.audience import Segment
from couponry.core.launch_facts import Count
from couponry.core.limits import AUDIENCE_COUNTED_MAX, AUDIENCE_WINDOW_IDS, AUDIENCE_WINDOWS
from couponry.store import schema as t
from couponry.store.bulk.audience import conditions
from couponry.store.engine import ReadTransaction

_ERRORS: Final = 2
"""The range is so many standard errors to either side: 19 of 20 times it holds the true number."""
_UNSEEN: Final = 3
"""What is in none of n looked at, is fewer than 3 in n, as surely."""


def audience_count(tx: ReadTransaction, org_id: int, segment: Segment | None) -> Count:
    """Of all customers, or of those in a segment. Three statements."""
    customer = t.customer.c
    ((first,),) = tx.rows(select(func.min(customer.id)).where(customer.org_id == org_id), {})
    ((last,),) = tx.rows(select(func.max(customer.id)).where(customer.org_id == org_id), {})
    if first is None:
        return Count(0, 0)
    span = last - first + 1
    if span <= AUDIENCE_COUNTED_MAX:
        ((found,),) = tx.rows(_within(org_id, segment, first, last), {})
        return Count(found, found)
    step = (span - AUDIENCE_WINDOW_IDS) / (AUDIENCE_WINDOWS - 1)
    starts = [first + round(number * step) for number in range(AUDIENCE_WINDOWS)]
    windows = [_within(org_id, segment, start, start + AUDIENCE_WINDOW_IDS - 1) for start in starts]
    return estimated([row[0] for row in tx.rows(union_all(*windows), {})], span)


def estimated(hits: list[int], span: int) -> Count:
    """From how many were found in each window, of windows spread over so many ids."""
    found, looked = sum(hits), len(hits) * AUDIENCE_WINDOW_IDS
    if not found:
        return Count(0, -(-_UNSEEN * span // looked))
    mean = found / len(hits)
    variance = sum((each - mean) ** 2 for each in hits) / max(1, len(hits) - 1)
    scale = span / AUDIENCE_WINDOW_IDS
    error = max(_ERRORS * (variance / len(hits)) ** 0.5 * scale, _UNSEEN * span / looked)
    low, high = max(found, round(mean * scale - error)), min(span, round(mean * scale + error))
    return Count(low, max(low, high))


def _within(org_id: int, segment: Segment | None, first: int, last: int) -> Select[Any]:
    customer = t.customer.c
    wanted = select(func.count().label("found")).select_from(t.customer).where(customer.org_id == org_id)
    return wanted.where(customer.id.between(first, last), *conditions(org_id, segment))
