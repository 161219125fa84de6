"""What a target was sent lately, newest first: among so many of the org's deliveries that a page may look at."""

from typing import Any, Final

from msgspec import Struct
from sqlalchemy import func, select

from couponry.core.deliveries import DeliveryState
from couponry.core.limits import DELIVERY_WALKED_MAX
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction


class Sent(Struct, frozen=True):
    """A delivery without its body."""

    id: int
    event: str
    state: DeliveryState
    attempts: int
    created_ms: int
    done_ms: int | None
    next_ms: int
    http_status: int | None
    took_ms: int | None
    problem: str


class Log(Struct, frozen=True):
    """Some of them; `before_id` is where to go on, None at the end."""

    sent: list[Sent]
    before_id: int | None


_COLUMNS: Final = tuple(t.delivery.c[name] for name in Sent.__struct_fields__)


def sent_to(tx: ReadTransaction, org_id: int, target_id: int, *, limit: int, before_id: int | None = None) -> Log:
    """Two statements, which look at `DELIVERY_WALKED_MAX` deliveries at most."""
    row = t.delivery.c
    walked = select(row.id).where(row.org_id == org_id)
    if before_id is not None:
        walked = walked.where(row.id < before_id)
    span = walked.order_by(row.id.desc()).limit(DELIVERY_WALKED_MAX).subquery("walked")
    ((first_id, looked),) = tx.rows(select(func.min(span.c.id), func.count()), {})
    if first_id is None:
        return Log([], None)
    wanted = select(*_COLUMNS).where(row.org_id == org_id, row.id >= first_id, row.target_id == target_id)
    if before_id is not None:
        wanted = wanted.where(row.id < before_id)
    found = [_sent(tuple(each)) for each in tx.rows(wanted.order_by(row.id.desc()).limit(limit + 1), {})]
    if len(found) > limit:
        return Log(found[:limit], found[limit - 1].id)
    return Log(found, first_id if looked == DELIVERY_WALKED_MAX else None)


def _sent(row: tuple[Any, ...]) -> Sent:
    values = dict(zip(Sent.__struct_fields__, row, strict=True))
    return Sent(**{**values, "state": DeliveryState(values["state"])})
