"""What webhooks are told (events 1): bodies of events, as JSON. Instants are epoch milliseconds.

Reactivate, revoke, expiry change (corrections 6) and the issue limit are told by analogy with issue and redeem.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, time
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from couponry.core.event_ids import event_id
from couponry.core.expiry import last_ms
from couponry.core.series import Series
from couponry.core.telling import Cause, Facts, ToldCoupon, ToldRedemption

ISSUE_LIMIT: Final = "CouponIssueLimit"
"""A series has few issues left. Its subject is the series; a second number beside it is how many are left."""
PING: Final = "Ping"
"""A test that somebody asked for; its subject is a webhook."""
_OF_REDEMPTIONS: Final = frozenset({"CouponRedeem", "CouponReactivate"})
_OF_COUPONS: Final = frozenset({"CouponIssue", "CouponRevoke", "CouponExpiryChange"})
_JOB: Final = "job-"
_OWN: Final = frozenset({"mobile", "email", "externalId"})
_CARDS: Final = frozenset({"cardnumber", "cardExternalId"})

_encode: Final = msgspec.json.Encoder().encode


class Enrichment(StrEnum):
    """What a webhook may ask to be shown beside the usual."""

    TILL = "till"
    STORE = "store"
    CUSTOMER = "customer"
    CARDS = "cards"


class TillShown(Struct, frozen=True):
    """`addedBy.till`."""

    code: str
    name: str


class StoreShown(Struct, frozen=True, rename="camel"):
    """`addedBy.store`."""

    code: str
    name: str
    external_id: str | None
    external_id_1: str | None
    external_id_2: str | None


class AddedBy(Struct, frozen=True):
    """The till that it happened at, None where it was not a till's doing."""

    id: int | None
    till: TillShown | UnsetType = UNSET
    store: StoreShown | UnsetType = UNSET


class Instore(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a customer is known by; what is not known is left out."""

    mobile: str | None = None
    email: str | None = None
    external_id: str | None = None
    card_number: str | None = None
    card_external_id: str | None = None


class CustomerIdentifiers(Struct, frozen=True, rename="camel"):
    customer_id: int | None
    instore: Instore | UnsetType = UNSET


class SeriesInfo(Struct, frozen=True):
    """The offer. Of a series whose terms cannot be read, only the id."""

    id: int
    description: str | UnsetType = UNSET
    series_type: str | UnsetType = field(default=UNSET, name="seriesType")
    client_handling_type: str | UnsetType = field(default=UNSET, name="clientHandlingType")
    valid_till: int | UnsetType = UNSET
    discount_code: str | UnsetType = UNSET
    discount_type: str | UnsetType = UNSET
    discount_value: int | float | UnsetType = UNSET


class ListedCoupon(Struct, frozen=True):
    """A coupon of an event about coupons."""

    id: int
    code: str
    valid_till: int | None
    issued_on: int | None
    customer_identifiers: CustomerIdentifiers = field(name="customerIdentifiers")
    revoked_on: int | UnsetType = UNSET


class RedeemedCoupon(Struct, frozen=True):
    """The coupon of an event about a redemption."""

    id: int
    code: str
    redemption_id: int = field(name="redemptionId")
    redemption_date: int = field(name="redemptionDate")
    series_info: SeriesInfo
    reactivation_date: int | UnsetType = field(default=UNSET, name="reactivationDate")


class Transaction(Struct, frozen=True):
    bill_id: int
    number: str


class OfCoupons(Struct, frozen=True):
    added_at: int = field(name="addedAt")
    added_by: AddedBy = field(name="addedBy")
    coupons: list[ListedCoupon]
    series_info: SeriesInfo
    issual_type: str | UnsetType = field(default=UNSET, name="issualType")


class OfRedemption(Struct, frozen=True, rename="camel"):
    added_at: int
    added_by: AddedBy
    coupon: RedeemedCoupon
    customer_identifiers: CustomerIdentifiers
    transaction: Transaction
    reason: str | UnsetType = UNSET


class OfSeries(Struct, frozen=True):
    added_at: int = field(name="addedAt")
    series_info: SeriesInfo
    max_create: int | UnsetType = field(default=UNSET, name="maxCreate")
    issues_left: int | UnsetType = field(default=UNSET, name="issuesLeft")


class OfWebhook(Struct, frozen=True, rename="camel"):
    added_at: int
    message: str


class Event(Struct, frozen=True, rename="camel"):
    """What all events have in common; a repeat says the same."""

    event_name: str
    event_id: str
    org_id: int
    ref_id: str
    api_request_id: str
    created_at: int
    data: OfCoupons | OfRedemption | OfSeries | OfWebhook
    loyalty_event_id: None = None


class Events:
    """The events that the causes of one batch are told by. What they have in common is made once."""

    def __init__(self, org_id: int, facts: Facts) -> None:
        self._org_id = org_id
        self._facts = facts
        self._series: dict[int, SeriesInfo] = {}

    def body(self, cause: Cause, enrichments: AbstractSet[str] = frozenset()) -> str | None:
        """The event as JSON; None for a cause that is none, or that nothing is left of."""
        data = self._data(cause, enrichments)
        if data is None:
            return None
        return _encode(
            Event(
                event_name=cause.event,
                event_id=event_id(self._org_id, cause.id),
                org_id=self._org_id,
                ref_id=self.ref_id(cause),
                api_request_id=cause.request_id,
                created_at=cause.created_ms,
                data=data,
            )
        ).decode()

    def ref_id(self, cause: Cause) -> str:
        """What an event is about: series, and redemption or first and last coupon."""
        subjects = cause.subject_ids
        if redemption := self._facts.redemptions.get(cause.redemption_id or 0):
            return f"{self._org_id}_{redemption.series_id}_{redemption.id}"
        if coupon := self._facts.coupons.get(subjects[0]):
            return f"{self._org_id}_{coupon.series_id}_{subjects[0]}:{subjects[-1]}"
        return f"{self._org_id}_{subjects[0]}"

    def _data(self, cause: Cause, enrichments: AbstractSet[str]) -> OfCoupons | OfRedemption | OfSeries | OfWebhook | None:
        if cause.event in _OF_COUPONS:
            coupons = self._facts.coupons_of(cause)
            return self._of_coupons(cause, coupons, enrichments) if coupons else None
        if cause.event in _OF_REDEMPTIONS:
            redemption = self._facts.redemptions.get(cause.subject_ids[0])
            coupon = redemption and self._facts.coupons.get(redemption.coupon_id)
            return self._of_redemption(cause, redemption, coupon, enrichments) if redemption and coupon else None
        if cause.event == ISSUE_LIMIT:
            return self._of_series(cause)
        return OfWebhook(cause.created_ms, "This is a test.") if cause.event == PING else None

    def _of_coupons(self, cause: Cause, coupons: Sequence[ToldCoupon], enrichments: AbstractSet[str]) -> OfCoupons:
        is_issue, is_revocation = cause.event == "CouponIssue", cause.event == "CouponRevoke"
        series_id, shown = coupons[0].series_id, _shown_kinds(cause, enrichments)
        return OfCoupons(
            added_at=cause.created_ms,
            added_by=self._added_by(coupons[0].issued_till_id if is_issue else None, enrichments),
            coupons=[self._listed(coupon, shown, is_revocation=is_revocation) for coupon in coupons],
            series_info=self._series_info(series_id),
            issual_type=("BULK" if cause.request_id.startswith(_JOB) else "SINGLE") if is_issue else UNSET,
        )

    def _listed(self, coupon: ToldCoupon, shown: AbstractSet[str], *, is_revocation: bool) -> ListedCoupon:
        return ListedCoupon(
            id=coupon.id,
            code=coupon.code,
            valid_till=coupon_expires_ms(coupon, self._facts.series.get(coupon.series_id)),
            issued_on=_whole_second(coupon.issued_ms) if coupon.issued_ms is not None else None,
            customer_identifiers=self._identifiers(coupon.customer_id, shown),
            revoked_on=_whole_second(coupon.revoked_ms) if is_revocation and coupon.revoked_ms is not None else UNSET,
        )

    def _of_redemption(
        self, cause: Cause, redemption: ToldRedemption, coupon: ToldCoupon, enrichments: AbstractSet[str]
    ) -> OfRedemption:
        is_reversal = cause.event == "CouponReactivate"
        reversed_ms = redemption.reversed_ms if is_reversal else None
        return OfRedemption(
            added_at=cause.created_ms,
            added_by=self._added_by(redemption.reversed_till_id if is_reversal else redemption.till_id, enrichments),
            coupon=RedeemedCoupon(
                id=coupon.id,
                code=coupon.code,
                redemption_id=redemption.id,
                redemption_date=_whole_second(redemption.redeemed_ms),
                series_info=self._series_info(redemption.series_id),
                reactivation_date=UNSET if reversed_ms is None else _whole_second(reversed_ms),
            ),
            customer_identifiers=self._identifiers(redemption.customer_id, _shown_kinds(cause, enrichments)),
            transaction=Transaction(redemption.bill_id or 0, redemption.transaction_number),
            reason=(redemption.reversal_reason or UNSET) if is_reversal else UNSET,
        )

    def _of_series(self, cause: Cause) -> OfSeries:
        series_id, *left = cause.subject_ids
        series = self._facts.series.get(series_id)
        return OfSeries(
            added_at=cause.created_ms,
            series_info=self._series_info(series_id),
            max_create=series.terms.max_create if series else UNSET,
            issues_left=left[0] if left else UNSET,
        )

    def _added_by(self, till_id: int | None, enrichments: AbstractSet[str]) -> AddedBy:
        till = self._facts.tills.get(till_id or 0)
        if till is None or not enrichments:
            return AddedBy(till_id)
        external_ids = (till.external_id, till.external_id_1, till.external_id_2)
        store = StoreShown(till.store_code, till.store_name, *external_ids)
        shown = TillShown(till.code, till.name)
        return AddedBy(
            till_id, shown if Enrichment.TILL in enrichments else UNSET, store if Enrichment.STORE in enrichments else UNSET
        )

    def _identifiers(self, customer_id: int | None, shown: AbstractSet[str]) -> CustomerIdentifiers:
        told = self._facts.customers.get(customer_id or 0) if shown else None
        if told is None:
            return CustomerIdentifiers(customer_id)
        who = told.customer
        instore = Instore(
            mobile=who.mobile if "mobile" in shown else None,
            email=who.email if "email" in shown else None,
            external_id=who.external_id if "externalId" in shown else None,
            card_number=who.card_number if "cardnumber" in shown else None,
            card_external_id=who.card_external_id if "cardExternalId" in shown else None,
        )
        return CustomerIdentifiers(customer_id, instore)

    def _series_info(self, series_id: int) -> SeriesInfo:
        if series_id not in self._series:
            series = self._facts.series.get(series_id)
            self._series[series_id] = _shown(series) if series else SeriesInfo(series_id)
        return self._series[series_id]


def coupon_expires_ms(coupon: ToldCoupon, series: Series | None) -> int | None:
    """The last second of a coupon; None where its series cannot be read."""
    if series is None:
        return None
    local = datetime.fromisoformat(coupon.expires_local) if coupon.expires_local else series.expires_local
    return _whole_second(last_ms(local, series.zone))


def told_alone(causes: Iterable[Cause]) -> frozenset[int]:
    """The causes that are the only redemption of their request (the switch `eventsSingleCouponOnly`)."""
    of_request: dict[tuple[str, int], list[int]] = {}
    for cause in causes:
        if cause.event == "CouponRedeem":
            of_request.setdefault((cause.request_id, cause.created_ms), []).append(cause.id)
    return frozenset(found[0] for found in of_request.values() if len(found) == 1)


def _shown_kinds(cause: Cause, enrichments: AbstractSet[str]) -> AbstractSet[str]:
    """Which identifiers of a customer are shown: those that the request named them by, always."""
    own = _OWN if Enrichment.CUSTOMER in enrichments else frozenset()
    cards = _CARDS if Enrichment.CARDS in enrichments else frozenset()
    return (cause.identified_by & (_OWN | _CARDS)) | own | cards


def _shown(series: Series) -> SeriesInfo:
    terms, midnight = series.terms, datetime.combine(series.expires_local.date(), time(), series.zone)
    value = terms.discount_value
    return SeriesInfo(
        id=series.id,
        description=terms.description,
        series_type=terms.series_type,
        client_handling_type=terms.client_handling_type,
        valid_till=int(midnight.timestamp()) * 1000,
        discount_code=terms.discount_code,
        discount_type=terms.discount_type,
        discount_value=int(value) if value == int(value) else float(value),
    )


def _whole_second(at_ms: int) -> int:
    return at_ms // 1000 * 1000
