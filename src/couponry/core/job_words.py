"""Jobs in plain words: what each does, and why rows of it failed."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from couponry.core.advice import ADVICE
from couponry.core.jobs import Job, JobKind, JobState
from couponry.core.status import Code

KINDS: Final[Mapping[JobKind, str]] = MappingProxyType(
    {
        JobKind.ISSUE: "Issue coupons",
        JobKind.REVOKE: "Revoke coupons",
        JobKind.EXPIRY: "Change expiries",
        JobKind.EXPORT: "Export",
        JobKind.UPLOAD: "Upload of coupons",
        JobKind.REDEEMED_UPLOAD: "Upload of redemptions",
    }
)
STATES: Final[Mapping[JobState, str]] = MappingProxyType(
    {
        JobState.QUEUED: "waiting for its turn",
        JobState.RUNNING: "running",
        JobState.PAUSED: "paused",
        JobState.FINISHED: "finished",
        JobState.FAILED: "stopped by a problem",
        JobState.CANCELLED: "cancelled",
    }
)
# What rows fail with, by the number that error files have. Where a redemption is refused with it, its meaning says it.
_ROWS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "510": "No such redemption.",
        "629": "The row cannot be read, or a value in it means nothing.",
        "633": "The code is there already: in this org, or twice in the file.",
        "696": "The code was redeemed as often as it may be.",
        "701": "No customer has this identifier.",
        "702": "This cannot be a coupon code.",
        "703": "The coupon belongs to somebody else.",
        "705": "The code is wrong, expired or used.",
        "707": "There is no such series.",
        "709": "The customer has such a coupon already, or as many as one may have.",
        "714": "The series is used up.",
        "721": "The customer is deleted, or merged into another.",
        "722": "There is no code left.",
        "742": "The customer's status blocks coupons.",
        "744": "A value is out of range.",
        "750": "The customer is marked as fraudulent.",
        "5001": "The series has no more coupons to give.",
        "5002": "The customer has as many coupons as one may have.",
        "5004": "The customer has this shared coupon already.",
        "5005": "No uploaded code is left.",
    }
)
_BY_NUMBER: Final[Mapping[str, Code]] = MappingProxyType({str(code.number): code for code in reversed(Code)})


def why_rows_failed(number: str) -> str:
    """A sentence for what so many rows of a job failed with."""
    if number in _ROWS:
        return _ROWS[number]
    code = _BY_NUMBER.get(number)
    if code is None:
        return "It failed for a reason of its own; the error file has it."
    return ADVICE[code].meaning if code in ADVICE else f"{code.message}."


def what(job: Job) -> str:
    """What a job does, with what is exported."""
    return f"{KINDS[job.kind]} of {job.request.get('what', 'rows')}" if job.kind is JobKind.EXPORT else KINDS[job.kind]


def time_left(seconds: float) -> str:
    """How long something still takes, roughly."""
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = round(seconds / size)
            return f"about {count} {unit}{'' if count == 1 else 's'}"
    return "less than a minute"
