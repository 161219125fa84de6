"""The series operations as the OpenAPI document describes them."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType, defstruct, field, structs

from couponry.api.envelopes import E, Errors
from couponry.api.operation import GATE_HEADERS, Operation, Parameter
from couponry.api.v2.series_object import SeriesObject
from couponry.core.model import Terms
from couponry.core.rules.series import AUDIENCE, MANDATORY, OWNER_FIELDS, WIRE_NAMES

_SENT_AS: Final[dict[Any, Any]] = {
    Decimal: int | float | str,
    date: str | int,
    date | None: str | int,
    datetime | None: str | int,
}
_SENT: Final = [
    (one.encode_name, _SENT_AS.get(one.type, one.type))
    for one in structs.fields(Terms)
    if one.encode_name in WIRE_NAMES - OWNER_FIELDS
]
SeriesFields = defstruct(
    "SeriesFields",
    [
        *((name, kind) for name, kind in _SENT if name in MANDATORY),
        *((name, kind | UnsetType, UNSET) for name, kind in _SENT if name not in MANDATORY),
        (AUDIENCE, list[int | str] | UnsetType, UNSET),
    ],
    namespace={
        "__doc__": "What a client may write of a series. An update needs only what changes, and the `id` where the path has none."
    },
    module=__name__,
)


class SeriesBody(Struct):
    """The body of a create or an update; the fields may also come bare."""

    coupon_series_v2: SeriesFields = field(name="CouponSeriesV2")  # type: ignore[valid-type] # made from the terms above


class SeriesSaved(SeriesObject, frozen=True, kw_only=True):
    """The series as it is saved. Warnings with `status` true say what its owner should know."""

    warnings: list[E]


class SeriesFound(Struct, frozen=True):
    """The series that were asked for."""

    entity: list[SeriesObject]
    warnings: list[E]


_ID: Final = Parameter("series_id", "path", "id of the series")
OPERATIONS: Final = (
    Operation(
        "/v2/coupon/series", "post", "Create a series", SeriesSaved, Errors, SeriesBody, GATE_HEADERS, "S", refusal_status=400
    ),
    Operation(
        "/v2/coupon/series",
        "put",
        "Change the fields of a series that are sent; the id stands in the body",
        SeriesSaved,
        Errors,
        SeriesBody,
        GATE_HEADERS,
        "S",
        refusal_status=400,
    ),
    Operation(
        "/v2/coupon/series/{series_id}",
        "put",
        "Change the fields of a series that are sent",
        SeriesSaved,
        Errors,
        SeriesBody,
        (_ID, *GATE_HEADERS),
        "S",
        refusal_status=400,
    ),
    Operation(
        "/v2/coupon/series",
        "get",
        "Series by id, by what they are tagged to, or all of them, newest first",
        SeriesFound,
        Errors,
        None,
        (
            Parameter("ids", "query", "series ids, repeated or comma-separated"),
            Parameter("orgEntityType", "query", "TILL, STORE, ZONE or CONCEPT, in any case, also in the plural"),
            Parameter("orgEntityIds", "query", "ids of that type, repeated or comma-separated"),
            Parameter("limit", "query", "at most so many; 100 unless something is asked for by id"),
            Parameter("offset", "query", "leave out so many of the newest"),
        ),
        "S",
        refusal_status=400,
    ),
)
