"""Rows of the database as the core's data, and back: the only place that knows both forms."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from couponry.core.limits import MONEY_SCALE
from couponry.core.model import Coupon, Customer, Org, Terms
from couponry.core.org_settings import OrgSettings
from couponry.core.series import Series, series_from_terms
from couponry.store import schema as t

COUPON_COLUMNS: Final = (
    t.coupon.c.id,
    t.coupon.c.series_id,
    t.coupon.c.code,
    t.coupon.c.holder_id,
    t.coupon.c.customer_id,
    t.coupon.c.issued_ms,
    t.coupon.c.expires_local,
    t.coupon.c.revoked_ms,
    t.coupon.c.redeemed,
    t.coupon.c.uses,
)
CUSTOMER_COLUMNS: Final = (
    t.customer.c.id,
    t.customer.c.first_name,
    t.customer.c.last_name,
    t.customer.c.mobile,
    t.customer.c.email,
    t.customer.c.external_id,
    t.customer.c.card_number,
    t.customer.c.card_external_id,
    t.customer.c.is_loyalty,
    t.customer.c.fraud_status,
    t.customer.c.status_label,
    t.customer.c.transaction_count,
    t.customer.c.registered_ms,
    t.customer.c.updated_ms,
    t.customer.c.merged_into_id,
    t.customer.c.deleted_ms,
    t.customer.c.custom_fields,
)
_CUSTOMER_FIELDS: Final = tuple(column.name for column in CUSTOMER_COLUMNS[:-3])
_CURRENCY_LETTERS: Final = 3


def org_from_rows(org: Any, labels: list[Any]) -> Org | None:  # noqa: ANN401 - rows of `org` and `status_label`
    """The org, or None when its zone, currency or settings cannot be used (795)."""
    try:
        zone = ZoneInfo(org.time_zone)
        settings = msgspec.json.decode(org.settings, type=OrgSettings)
    except (ValueError, ZoneInfoNotFoundError, msgspec.MsgspecError):
        return None
    if len(org.currency) != _CURRENCY_LETTERS or not org.currency.isalpha():
        return None
    return Org(
        id=org.id,
        zone=zone,
        currency=org.currency,
        country_code=org.country_code,
        settings=settings,
        issue_blocking_labels=frozenset(row.label for row in labels if row.blocks_issue),
        redemption_blocking_labels=frozenset(row.label for row in labels if row.blocks_redemption),
    )


def customer_from_row(row: tuple[Any, ...]) -> Customer:
    """From `CUSTOMER_COLUMNS`; merged away or deleted is gone."""
    fields: dict[str, Any] = dict(zip(_CUSTOMER_FIELDS, row, strict=False))
    *_, merged_into_id, deleted_ms, custom_fields = row
    return Customer(
        **fields,
        gone=merged_into_id is not None or deleted_ms is not None,
        custom_fields=msgspec.json.decode(custom_fields) if custom_fields else {},
    )


def coupon_from_row(row: tuple[Any, ...]) -> Coupon:
    """From `COUPON_COLUMNS`."""
    coupon_id, series_id, code, holder_id, customer_id, issued_ms, expires_local, revoked_ms, redeemed, uses = row[:10]
    return Coupon(
        coupon_id, series_id, code, holder_id, customer_id, issued_ms, expires_local, revoked_ms is not None, redeemed, uses
    )


def series_from_text(series_id: int, version: int, text: str) -> Series | None:
    """The series from its stored terms, or None when they cannot be used (788)."""
    try:
        return series_from_terms(series_id, version, msgspec.json.decode(text, type=Terms))
    except (ValueError, KeyError, OverflowError, msgspec.MsgspecError):
        return None


def scaled(amount: Decimal | None) -> int | None:
    """Money as the database keeps it: thousandths, ties to even."""
    return None if amount is None else int((amount * MONEY_SCALE).to_integral_value(ROUND_HALF_EVEN))
