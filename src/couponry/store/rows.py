"""Rows of the database as the core's data, and back: the only place that knows both forms."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from couponry.core.currency import CURRENCIES
from couponry.core.limits import MONEY_SCALE
from couponry.core.model import Coupon, Customer, Org, Redemption, StoredRedemption, Terms
from couponry.core.org_settings import OrgSettings
from couponry.core.series import Series, series_from_terms
from couponry.store import schema as t
from couponry.store.statements import Row

ORG_COLUMNS: Final = (
    t.org.c.id,
    t.org.c.time_zone,
    t.org.c.currency,
    t.org.c.country_code,
    t.org.c.settings,
    t.org.c.version,
)
LABEL_COLUMNS: Final = (t.status_label.c.label, t.status_label.c.blocks_issue, t.status_label.c.blocks_redemption)
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
    t.coupon.c.issued_by_redemption,
)
REDEMPTION_COLUMNS: Final = (
    t.redemption.c.id,
    t.redemption.c.coupon_id,
    t.redemption.c.series_id,
    t.redemption.c.customer_id,
    t.redemption.c.redeemed_ms,
    t.redemption.c.reversed_ms,
    t.redemption.c.reversal_reason,
    t.redemption.c.amount,
    t.redemption.c.transaction_number,
    t.redemption.c.bill_id,
    t.redemption.c.custom_fields,
    t.redemption.c.store_id,
    t.redemption.c.discount,
)
REDEMPTION_MADE: Final = (
    *("id", "coupon_id", "use_number", "series_id", "series_version", "customer_id", "customer_use_number", "till_id"),
    *("store_id", "redeemed_ms", "amount", "discount", "transaction_number", "custom_fields", "request_id"),
)
"""What is written of a redemption when it is made."""
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
    t.customer.c.unsubscribed,
)


def org_from_rows(org: Row, labels: list[Row]) -> Org | None:
    """From `ORG_COLUMNS` and `LABEL_COLUMNS`; None when the zone, currency or settings are unusable (795)."""
    org_id, zone, currency, country_code, settings, _version = org
    try:
        usable = Org(
            id=org_id,
            zone=ZoneInfo(zone),
            currency=currency,
            country_code=country_code,
            settings=msgspec.json.decode(settings, type=OrgSettings),
            issue_blocking_labels=frozenset(label for label, blocks_issue, _ in labels if blocks_issue),
            redemption_blocking_labels=frozenset(label for label, _, blocks_redemption in labels if blocks_redemption),
        )
    except (ValueError, ZoneInfoNotFoundError, msgspec.MsgspecError):
        return None
    return usable if currency in CURRENCIES else None


def customer_from_row(row: Sequence[Any]) -> Customer:
    """From `CUSTOMER_COLUMNS`; merged away or deleted is gone. SQLite keeps a boolean as a number."""
    is_gone = row[14] is not None or row[15] is not None
    custom_fields = msgspec.json.decode(row[16]) if row[16] else {}
    unsubscribed = frozenset(row[17].split(",")) if row[17] else frozenset()
    return Customer(*(*row[:8], bool(row[8]), *row[9:14], is_gone, custom_fields, unsubscribed))


def coupon_from_row(row: Row) -> Coupon:
    """From the first columns of a row, `COUPON_COLUMNS`."""
    coupon_id, series_id, code, holder_id, customer_id, issued_ms, expires_local, revoked_ms, redeemed, uses, by_redemption = row[
        :11
    ]
    dates = (issued_ms, expires_local, revoked_ms is not None)
    return Coupon(coupon_id, series_id, code, holder_id, customer_id, *dates, redeemed, uses, bool(by_redemption))


def redemption_from_row(row: Row) -> StoredRedemption:
    """From `REDEMPTION_COLUMNS`."""
    redemption_id, coupon_id, series_id, customer_id, redeemed_ms, reversed_ms, reason, *bill, fields, store_id, discount = row
    amount, number, bill_id = bill
    is_undone = reversed_ms is not None or reason is not None
    money = None if amount is None else Decimal(amount) / MONEY_SCALE
    custom_fields = msgspec.json.decode(fields, type=dict[str, str]) if fields else {}
    made = (redemption_id, coupon_id, series_id, customer_id, redeemed_ms)
    given = Decimal(discount) / MONEY_SCALE
    return StoredRedemption(*made, is_undone, money, number, bill_id, custom_fields, store_id, given)


def redemption_row(redemption: Redemption) -> Row:
    """As `REDEMPTION_MADE`."""
    return (
        *(redemption.id, redemption.coupon_id, redemption.use_number, redemption.series_id, redemption.series_version),
        *(redemption.customer_id, redemption.customer_use_number, redemption.till_id, redemption.store_id),
        *(redemption.redeemed_ms, scaled(redemption.amount), scaled(redemption.discount), redemption.transaction_number),
        *(fields_as_text(dict(redemption.custom_fields)), redemption.request_id),
    )


def fields_as_text(fields: dict[str, str]) -> str | None:
    """Custom fields as the database keeps them; none are NULL."""
    return msgspec.json.encode(fields).decode() if fields else None


def series_from_text(series_id: int, version: int, text: str) -> Series | None:
    """The series from its stored terms, or None when they cannot be used (788)."""
    try:
        return series_from_terms(series_id, version, msgspec.json.decode(text, type=Terms))
    except (ValueError, KeyError, OverflowError, msgspec.MsgspecError):
        return None


def is_halted(campaign_state: str | None, campaign_ends_ms: int | None, now_ms: int) -> bool:
    """Whether a series' campaign, if it has one, has ended or is paused."""
    return campaign_state is not None and (campaign_state != "ACTIVE" or (campaign_ends_ms or now_ms) < now_ms)


def scaled(amount: Decimal | None) -> int | None:
    """Money as the database keeps it: thousandths, ties to even."""
    return None if amount is None else int((amount * MONEY_SCALE).to_integral_value(ROUND_HALF_EVEN))
