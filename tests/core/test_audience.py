"""Whom a job is for: what may be asked for, and how it is kept."""

from typing import Any

import msgspec
import pytest

from couponry.core.audience import EVERYBODY, Audience, Segment, SentSegment, listed, segment_of
from couponry.core.job_requests import ExpiryRequest, IssueRequest, RevokeRequest
from couponry.core.problem import Problem

INSTANTS = {"2031-01-01": 1_925_000_000_000, "2031-02-01": 1_927_000_000_000}


def segment(**fields: Any) -> Segment | Problem:
    return segment_of(msgspec.convert(fields, SentSegment), INSTANTS.get)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({}, {}),
        ({"loyaltyType": "non_loyalty"}, {"loyaltyType": "non_loyalty"}),
        (
            {"registeredFrom": "2031-01-01", "registeredTo": "2031-02-01"},
            {"registeredFrom": 1_925_000_000_000, "registeredTo": 1_927_000_000_000},
        ),
        ({"registeredFrom": "2031-01-01", "registeredTo": "2031-01-01"}, None),
        ({"storeIds": [302, 301, 302]}, {"storeIds": [301, 302]}),
        (
            {"redeemedSeriesIds": [5001], "notRedeemedSeriesIds": [5002]},
            {"redeemedSeriesIds": [5001], "notRedeemedSeriesIds": [5002]},
        ),
        ({"minTransactions": 0, "maxTransactions": 0}, {"minTransactions": 0, "maxTransactions": 0}),
        ({"statusLabels": ["VIP", "ACTIVE", "VIP"]}, {"statusLabels": ["VIP", "ACTIVE"]}),
    ],
)
def test_segments(sent: dict[str, Any], kept: dict[str, Any] | None) -> None:
    made = segment(**sent)
    assert isinstance(made, Segment)
    stored = msgspec.to_builtins(Audience(segment=made))
    assert kept is None or msgspec.json.decode(msgspec.json.encode(stored)) == {"segment": kept}
    assert msgspec.convert(stored, Audience) == Audience(segment=made)


@pytest.mark.parametrize(
    "sent",
    [
        {"registeredFrom": "soon"},
        {"registeredFrom": "2031-02-01", "registeredTo": "2031-01-01"},
        {"storeIds": []},
        {"storeIds": [0]},
        {"redeemedSeriesIds": [-1]},
        {"notRedeemedSeriesIds": [2**53]},
        {"storeIds": list(range(1, 1_002))},
        {"minTransactions": -1},
        {"maxTransactions": 2**31},
        {"minTransactions": 2, "maxTransactions": 1},
        {"statusLabels": [""]},
        {"statusLabels": ["a\0"]},
        {"statusLabels": ["\ud800"]},
        {"statusLabels": ["x" * 256]},
    ],
)
def test_segments_that_mean_nothing(sent: dict[str, Any]) -> None:
    refused = segment(**sent)
    assert isinstance(refused, Problem)
    assert refused.code == 629


@pytest.mark.parametrize("sent", [{"city": "Pune"}, {"loyaltyType": "gold"}, {"storeIds": "301"}, {"minTransactions": 1.5}])
def test_fields_that_nobody_knows(sent: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        segment(**sent)


def test_lists() -> None:
    assert listed(7, "mobile", 2) == Audience(upload_id=7, identifier="mobile", column=2)
    for wrong in (listed(7, "MOBILE", 0), listed(7, "name", 0), listed(7, "id", -1), listed(7, "id", 1_000)):
        assert isinstance(wrong, Problem)


def test_requests_as_they_are_kept() -> None:
    """What workers read is what was written, and in the form that the job is shown in."""
    whom = Audience(upload_id=7, identifier="externalId", column=2)
    for request, kept in (
        (IssueRequest(EVERYBODY, 1, send=True), {"audience": {"all": True}, "count": 1, "send": True, "tillId": None}),
        (IssueRequest(None, 9, send=False), {"audience": None, "count": 9, "send": False, "tillId": None}),
        (
            RevokeRequest("unredeemed", whom),
            {"coupons": "unredeemed", "audience": {"uploadId": 7, "identifier": "externalId", "column": 2}},
        ),
        (
            ExpiryRequest("unissued", "2031-05-01T23:59:59"),
            {"coupons": "unissued", "expiresLocal": "2031-05-01T23:59:59", "audience": None},
        ),
    ):
        assert msgspec.json.decode(msgspec.json.encode(request)) == kept
        assert msgspec.convert(kept, type(request)) == request
