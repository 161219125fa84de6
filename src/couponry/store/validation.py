"""Validation codes and missed calls beside the ledger: made, shown, tried (supporting APIs 5, rules 10).

A redeem uses them up in the ledger (`store.batch_validation`). Both lock a customer's codes by id.
"""

from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, func, insert, select, update

from couponry.core import ids
from couponry.core.limits import VALIDATION_CODES_A_DAY_MAX
from couponry.core.model import Identifier
from couponry.core.status import Code
from couponry.core.telling import Rank
from couponry.core.validation import COUPON, Message, ValidationCode, Vault, addressed, day_of, matching
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.customers import locked, read_customer
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.statements import Probe, org_parameter

OTP_MESSAGE: Final = "OtpMessage"
"""The outbox row that a code is sent by; its subject is the code's id."""


class Wanted(Struct, frozen=True):
    """A code to be made: for whom, for what, how long it counts, and how it is told."""

    customer: Identifier
    scope: str
    validity_ms: int
    message: Message
    request_id: str


class Shown(NamedTuple):
    """A usable code, still sealed."""

    id: int
    customer_id: int
    sealed: bytes
    expires_ms: int


def generate(
    tx: WriteTransaction, org_id: int, zone: ZoneInfo, wanted: Wanted, code: str, vault: Vault, now_ms: int
) -> int | Code:
    """The new code's id; 606 for nobody or no address, 429 when the customer has had enough today.

    The customer's row is locked, so that two at once cannot both be the tenth.
    """
    found = read_customer(tx, org_id, *wanted.customer)
    message = None if isinstance(found, Code) else addressed(wanted.message, found.customer)
    if isinstance(found, Code) or message is None:
        return Code.CODE_NOT_SENDABLE
    row = locked(tx, org_id, found.customer.id)
    if isinstance(row, Code):
        return Code.CODE_NOT_SENDABLE
    if _made_since(tx, org_id, row.id, day_of(now_ms, zone)[0]) >= VALIDATION_CODES_A_DAY_MAX:
        return Code.RATE_LIMITED
    code_id = serials.reserve(tx, org_id, serials.OTP)
    kind, value = wanted.customer
    values = {
        "org_id": org_id,
        "id": code_id,
        "customer_id": row.id,
        "scope": wanted.scope,
        "entity_type": kind,
        "entity_value": value,
        "mac": vault.mac(org_id, code),
        "sealed": vault.seal(org_id, code_id, code),
        "message": msgspec.json.encode(message).decode(),
        "created_ms": now_ms,
        "expires_ms": now_ms + wanted.validity_ms,
    }
    tx.connection.execute(insert(t.otp).values(values))
    event = {"event": OTP_MESSAGE, "subject_id": code_id, "customer_id": row.id, "request_id": wanted.request_id}
    event["rank"] = Rank.AT_ONCE
    event_id = ids.first_id(ids.REDEMPTION, org_id, serials.reserve(tx, org_id, serials.OUTBOX))
    tx.connection.execute(insert(t.outbox).values(org_id=org_id, id=event_id, created_ms=now_ms, **event))
    return code_id


def _made_since(tx: ReadTransaction, org_id: int, customer_id: int, since_ms: int) -> int:
    """How many codes a customer was sent. One made since then also expires after it, which is what the index knows."""
    otp = t.otp.c
    source, bound = _of_customer(tx, org_id, customer_id)
    counted = select(func.count()).select_from(source).where(otp.expires_ms >= since_ms, otp.created_ms >= since_ms)
    ((count,),) = tx.rows(counted, bound)
    return int(count)


def _of_customer(tx: ReadTransaction, org_id: int, customer_id: int) -> tuple[Probe, dict[str, object]]:
    """A customer's codes by their index: to have them in order, SQLite would rather walk through the org's."""
    keys = tx.dialect.keys("customers", BigInteger())
    source = keys.probing(t.otp, "customer_id", index="ix_otp_customer")
    return source, {org_parameter().key: org_id, **keys.bound([(customer_id,)])}


def _unused(scope: str, now_ms: int) -> ColumnElement[bool]:
    otp = t.otp.c
    return (otp.scope == scope) & (otp.expires_ms > now_ms) & otp.used_ms.is_(None)


def validate(tx: WriteTransaction, org_id: int, customer: Identifier, scope: str, mac: str, now_ms: int) -> bool | Code:
    """True, or 605 and a try less. A code for coupons still is to be redeemed with; any other is used up."""
    found = read_customer(tx, org_id, *customer)
    if isinstance(found, Code):
        return Code.CODE_NOT_VALID
    otp = t.otp.c
    source, bound = _of_customer(tx, org_id, found.customer.id)
    wanted = select(otp.id, otp.mac, otp.expires_ms, otp.wrong_tries).select_from(source).where(_unused(scope, now_ms))
    codes = [ValidationCode(*row) for row in tx.rows(tx.dialect.locked(wanted.order_by(otp.id), t.otp), bound)]
    hit = matching(codes, mac, now_ms)
    if hit is None:
        tried = [code.id for code in codes if code.is_usable(now_ms)]
        of_tried = update(t.otp).where(otp.org_id == org_id, otp.id.in_(tried))
        tx.connection.execute(of_tried.values(wrong_tries=otp.wrong_tries + 1))
        return Code.CODE_NOT_VALID
    if scope != COUPON:
        tx.connection.execute(update(t.otp).where(otp.org_id == org_id, otp.id == hit.id).values(used_ms=now_ms))
    return True


def latest(tx: ReadTransaction, org_id: int, customer: Identifier, scope: str, since_ms: int, now_ms: int) -> Shown | Code:
    """The customer's newest usable code made since then; 9001 when there is none."""
    found = read_customer(tx, org_id, *customer)
    if isinstance(found, Code):
        return Code.NO_VALID_CODE
    otp = t.otp.c
    source, bound = _of_customer(tx, org_id, found.customer.id)
    columns = (otp.id, otp.mac, otp.expires_ms, otp.wrong_tries, otp.sealed)
    newest = select(*columns).select_from(source).where(_unused(scope, now_ms), otp.created_ms >= since_ms)
    for code_id, mac, expires_ms, wrong_tries, sealed in tx.rows(newest.order_by(otp.id.desc()), bound):
        if ValidationCode(code_id, mac, expires_ms, wrong_tries).is_usable(now_ms):
            return Shown(code_id, found.customer.id, sealed, expires_ms)
    return Code.NO_VALID_CODE


def called(tx: WriteTransaction, org_id: int, mobile: str, now_ms: int) -> int | Code:
    """The id of a missed call from a customer's mobile; 8015 or 8069 for nobody's."""
    found = read_customer(tx, org_id, "mobile", mobile)
    if isinstance(found, Code):
        return found
    call_id = serials.reserve(tx, org_id, serials.MISSED_CALL)
    row = {"org_id": org_id, "id": call_id, "customer_id": found.customer.id, "mobile": mobile, "called_ms": now_ms}
    tx.connection.execute(insert(t.missed_call).values(row))
    return call_id
