"""`GET /v1.1/coupon/series` (v1.1-coupon 6): every scalar is a text, whatever it is in the terms."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

import falcon.asgi
from msgspec import Struct

from couponry.api.call import Call, Reply
from couponry.api.operation import Operation
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v1_1 import shown, statuses
from couponry.api.v1_1.offers import amount_shown
from couponry.api.v1_1.tree import Entries, Listed, Node, Tree, truth
from couponry.api.v2 import requests
from couponry.api.v2.render import products_of
from couponry.api.v2.series_object import NO_ID, expiry_in
from couponry.core.expiry import local_time
from couponry.core.limits import MONEY_MAX, PAGE_ITEMS_MAX
from couponry.core.model import Org, Terms
from couponry.core.status import Code
from couponry.store.back_office import BackOffice
from couponry.store.engine import ReadTransaction
from couponry.store.offers import Offered, list_series

OPERATIONS: Final[tuple[Operation, ...]] = ()

# Names here, and of the terms; in the contract's order.
_BEFORE_DATES: Final = MappingProxyType(
    {
        "expiry_strategy_type": "expiry_strategy_type",
        "expiry_strategy_value": "expiry_strategy_value",
        "max_create": "max_create",
        "max_redeem": "max_redeem",
        "transferrable": "is_transferrable",
        "any_user": "any_user",
        "same_user_multiple_redeem": "same_user_multiple_redeem",
        "allow_referral_existing_users": "is_referral_existing_users_allowed",
        "multiple_use": "is_multiple_use_allowed",
        "is_validation_required": "is_validation_required",
    }
)
_AFTER_DATES: Final = MappingProxyType(
    {
        "series_code": "series_code",
        "sms_template": "sms_template",
        "disable_sms": "is_sms_disabled",
        "info": "info",
        "allow_multiple_vouchers_per_user": "is_multiple_vouchers_per_user_allowed",
        "do_not_resend_existing_voucher": "do_not_resend_existing_voucher",
        "mutual_exclusive_series_ids": "mutual_exclusive_series_ids",
        "store_ids_json": "store_ids_json",
        "dvs_enabled": "is_dvs_enabled",
    }
)
_CONFIGURED: Final = MappingProxyType(
    {
        "priority": "priority",
        "short_sms_template": "short_sms_template",
        "max_vouchers_per_user": "max_vouchers_per_user",
        "min_days_between_vouchers": "min_days_between_vouchers",
        "max_referrals_per_referee": "max_referrals_per_referee",
        "discount_on": "discount_on",
        "discount_type": "discount_type",
        "discount_value": "discount_value",
        "discount_upto": "discount_upto",
        "dvs_items": "dvs_items",
        "redemption_range": "redemption_range",
        "min_bill_amount": "min_bill_amount",
    }
)
_OF_REDEMPTION: Final = MappingProxyType(
    {
        "max_redemptions_in_series_per_user": "max_redemptions_in_series_per_user",
        "min_days_between_redemption": "min_days_between_redemption",
        "redemption_valid_from": "redemption_valid_from",
        "source_org_id": "source_org_id",
        "issue_to_loyalty": "issue_to_loyalty",
        "redeem_store_type": "redeem_store_type",
        "old_flow_enabled": "is_old_flow_enabled",
        "pre_redeem_event_required": "is_pre_redeem_event_required",
    }
)
_PRODUCTS: Final = MappingProxyType({"products": "SKU", "brands": "BRAND", "categories": "CATEGORY"})
_ENTITIES: Final = MappingProxyType({"concepts": "CONCEPT", "zones": "ZONE", "stores": "STORE", "tills": "TILL"})
_MEANT: Final[Mapping[str, Callable[[bool], bool]]] = MappingProxyType(
    {"true": lambda is_expired: is_expired, "false": lambda is_expired: not is_expired}
)


class Asked(Struct, frozen=True):
    """Series by id, or all; those that `expired` means."""

    org: Org
    ids: Sequence[str]
    expired: str


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {"/v1.1/coupon/series": SeriesRead(parts.back_office, parts.clock)}


class SeriesRead:
    """Series with their configuration and counts."""

    def __init__(self, office: BackOffice, clock: Callable[[], int]) -> None:
        self._office = office
        self._clock = clock

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Read."""
        (await self._reply(req)).write(resp)

    async def _reply(self, call: Call) -> Reply:
        asked = _asked(call)
        told = asked if isinstance(asked, Code) else await self._office.read(partial(self._found, asked))
        if isinstance(told, Code):
            return call.wire.failure(told)
        items, successes = told
        return call.wire.reply({"series": {"items": {"item": Entries(items)}}}, statuses.overall(successes))

    def _found(self, asked: Asked, tx: ReadTransaction) -> tuple[list[Node], list[bool]]:
        """What was asked for, in that order; of all series the newest."""
        wanted = [requests.id_of(one) or 0 for one in asked.ids]
        rows = list_series(tx, asked.org.id, ids=wanted or None, place=None, limit=PAGE_ITEMS_MAX, offset=0)
        is_meant, now_ms = _MEANT.get(asked.expired), self._clock()
        meant = {row.series.id: row for row in rows if is_meant is None or is_meant(now_ms > row.series.expires_ms)}
        known = {row.series.id for row in rows}
        items: list[Node] = []
        successes = []
        for sent, series_id in zip(asked.ids, wanted, strict=True) if wanted else ((str(each), each) for each in meant):
            if series_id in known and series_id not in meant:
                continue
            row = meant.get(series_id)
            items.append(series_shown(row, asked.org.zone) if row else _unknown(sent))
            successes.append(row is not None)
        return items, successes


def _asked(call: Call) -> Asked | Code:
    ids = list(dict.fromkeys(shown.words(call, "id")))
    if len(ids) > PAGE_ITEMS_MAX:
        return Code.BATCH_LIMIT_EXCEEDED
    org = org_of(call)
    return org if isinstance(org, Code) else Asked(org, ids, shown.word(call, "expired"))


def _unknown(sent: str) -> Node:
    return {"id": sent, "item_status": statuses.item_status(Code.UNKNOWN_SERIES_NAMED, names=sent)}


def series_shown(row: Offered, zone: ZoneInfo) -> Tree:
    """A series with everything that is configured about it."""
    terms, created_on = row.series.terms, local_time(row.created_ms // 1000, zone).date()
    used_ms = max(row.created_ms, row.counts.last_issued_ms, row.counts.last_redeemed_ms)
    is_unlimited = not 0 < terms.max_bill_amount < MONEY_MAX
    return {
        "id": str(row.series.id),
        "description": terms.description,
        "series_type": terms.series_type,
        "client_handling_type": terms.client_handling_type.value,
        "discount_code": terms.discount_code,
        "valid_till_date": expiry_in(row, zone).date().isoformat(),
        "valid_days_from_create": str(terms.valid_days_from_creation),
        **_named(terms, _BEFORE_DATES),
        "valid_with_discounted_item": truth(terms.is_valid_with_discounted_item),
        "created_by": str(row.created_by or NO_ID),
        "created": shown.instant(row.created_ms, zone),
        "last_used": shown.instant(used_ms, zone),
        **_named(terms, _AFTER_DATES),
        "dvs_expiry_date": (terms.dvs_expiry_date or created_on).isoformat(),
        **_named(terms, _CONFIGURED),
        "max_bill_amount": "0" if is_unlimited else amount_shown(terms.max_bill_amount),
        "redeem_at_store": terms.redeem_at_store,
        "campaign_id": str(row.campaign_id or terms.campaign_id),
        "tag": terms.tag,
        **_named(terms, _OF_REDEMPTION),
        "coupons": {"issued": str(row.counts.issued), "redeemed": str(row.counts.redeemed)},
        "offline_redemption_enabled": truth(terms.offline_redeem_type),
        "campaign_name": row.campaign_name,
        "purpose": terms.purpose,
        "metadata": terms.metadata,
        "item_status": statuses.item_status(Code.SERIES_FETCHED),
        "valid_redemption_org_entities": {name: _entities(terms, kind) for name, kind in _ENTITIES.items()},
        **{name: _products(terms, kind) for name, kind in _PRODUCTS.items()},
    }


def _named(terms: Terms, names: Mapping[str, str]) -> dict[str, Node]:
    return {name: _text(getattr(terms, own)) for name, own in names.items()}


def _text(value: object) -> str:
    """`0` and `1` for booleans."""
    match value:
        case bool():
            return str(int(value))
        case Decimal():
            return amount_shown(value)
        case date():
            return value.isoformat()
        case _:
            return str(value)


def _entities(terms: Terms, kind: str) -> Node:
    ids = [one.org_entity_id for one in terms.redemption_org_entity_details if one.redemption_org_entity_type == kind]
    return Listed(ids, as_text=True) if ids else None


def _products(terms: Terms, kind: str) -> Node:
    """Empty where the terms name none."""
    found = products_of(terms, kind)
    return Listed(found, as_text=True) if found else ""
