"""Whom a series is restricted to (`couponSeriesAudience`): customers by id, or by external id as imports name them."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, select

from couponry.core.problem import Problem
from couponry.core.rules.series import AUDIENCE
from couponry.store import schema as t
from couponry.store.bulk.customers import customer_ids
from couponry.store.engine import ReadTransaction
from couponry.store.statements import org_parameter

Audience = Sequence[int | str]

_ID_DIGITS_MAX: Final = 16


def audience_of(sent: Any) -> Audience | Problem | None:  # noqa: ANN401 - whatever a body or a cell holds
    """The customers named, or None when the field was not sent; a list, or the JSON text of one."""
    if sent is None or sent == "":
        return None
    try:
        named = msgspec.convert(msgspec.json.decode(sent) if isinstance(sent, str) else sent, list[int | str])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        named = [""]
    if not all(_is_name(name) for name in named):
        return Problem(744, "Couldn't save coupon series fields", f"{AUDIENCE} is no list of customer ids and external ids")
    return [name.strip() if isinstance(name, str) else name for name in named]


def _is_name(name: int | str) -> bool:
    if isinstance(name, str):
        return bool(name.strip()) and "\0" not in name
    return 0 < name < 10**_ID_DIGITS_MAX


def members(tx: ReadTransaction, org_id: int, audience: Audience) -> dict[int | str, int]:
    """Which customer each name means. A text of digits is an external id first, else an id."""
    texts = list({name for name in audience if isinstance(name, str)})
    by_text = customer_ids(tx, org_id, "external_id", texts)
    numbers = {name: int(name) for name in texts if name not in by_text and _is_number(name)}
    wanted = {*numbers.values(), *(name for name in audience if isinstance(name, int))}
    there = _existing(tx, org_id, sorted(wanted))
    found: dict[int | str, int] = {number: number for number in there}
    found |= {name: number for name, number in numbers.items() if number in there}
    return found | by_text


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) <= _ID_DIGITS_MAX


def _existing(tx: ReadTransaction, org_id: int, ids: Sequence[int]) -> set[int]:
    if not ids:
        return set()
    keys = tx.dialect.keys("wanted", BigInteger())
    found = select(t.customer.c.id).select_from(keys.probing(t.customer, "id"))
    wanted = keys.bound([(customer_id,) for customer_id in ids])
    return {row.id for row in tx.rows(found, {org_parameter().key: org_id, **wanted})}
