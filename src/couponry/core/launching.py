"""Campaigns in the making: a draft is kept step by step, and its launch makes campaign, series and job of it at once."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from msgspec import Struct

from couponry.core.audience import Audience
from couponry.core.dates import ms_from_local
from couponry.core.expiry import local_time
from couponry.core.limits import TERMS_YEAR_MAX

Step = Literal["campaign", "terms", "audience", "message", "check", "launch"]
STEPS: Final[tuple[Step, ...]] = get_args(Step)
For = Literal["", "everyone", "file", "segment", "codes", "nobody"]
"""Whom a launch is for: customers of three kinds; codes that nobody has yet; or nobody at once, as tills and shops issue."""


class CampaignDraft(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What was filled in so far.

    Wall clocks (`starts_local`, `ends_local`) are ISO to the minute, in the org's zone; empty for none. `fields` are the terms of
    a new series under the wire's names (as `core.rules.series` reads them); with a `series_id` they are what changes of that one.
    `campaign_id` is a campaign that is there, in which more is launched. `steps` are those that were filled in. `upload_rows`
    counts the rows of the audience's file, `upload_known` how many of its first `upload_looked` name a customer.
    """

    name: str = ""
    description: str = ""
    starts_local: str = ""
    ends_local: str = ""
    campaign_id: int | None = None
    series_id: int | None = None
    fields: dict[str, Any] = {}
    whom: For = ""
    audience: Audience | None = None
    count: int = 1
    send: bool = False
    upload_name: str = ""
    upload_rows: int = 0
    upload_looked: int = 0
    upload_known: int = 0
    copied_from: int | None = None
    steps: frozenset[Step] = frozenset()

    @property
    def makes_job(self) -> bool:
        """Whether coupons are issued, or codes made, at the launch."""
        return self.whom not in {"", "nobody"}

    def next_step(self) -> Step:
        """The first that was not filled in."""
        return next((step for step in STEPS if step not in self.steps), "launch")


class LaunchState(StrEnum):
    """Where a launch stands. One that is cancelled, refused or failed may be asked for again."""

    ASKED = "asked"
    SCHEDULED = "scheduled"
    LAUNCHED = "launched"
    FAILED = "failed"
    CANCELLED = "cancelled"


AGAIN: Final = frozenset({LaunchState.FAILED, LaunchState.CANCELLED})
"""States after which the draft may be changed and launched again."""


class Launch(Struct, frozen=True, kw_only=True):
    """A draft that was launched, or is going to be.

    `due_ms` is None for at once. `request` is the draft as it was then, so that nobody changes what was approved. `started_ms` is
    when its job was made; `problem` says why it failed.
    """

    id: int
    draft_id: int
    campaign_id: int | None
    series_id: int | None
    due_ms: int | None
    state: LaunchState
    request: CampaignDraft
    job_id: int | None
    created_by: int
    created_by_email: str
    created_ms: int
    updated_ms: int
    started_ms: int | None
    problem: str

    @property
    def late_ms(self) -> int:
        """How long after its time it started."""
        return 0 if self.due_ms is None or self.started_ms is None else max(0, self.started_ms - self.due_ms)


def instant_ms(local: str, zone: ZoneInfo) -> int | None:
    """The instant of a wall clock as a form has it (`YYYY-MM-DDTHH:MM`); None for none. Raises ValueError for what is neither."""
    if not local:
        return None
    read = datetime.fromisoformat(local)
    if read.tzinfo is not None or not 1970 <= read.year < TERMS_YEAR_MAX:  # noqa: PLR2004 - the epoch's year
        raise ValueError("not a date and time of a calendar")
    return ms_from_local(read.replace(second=0, microsecond=0), zone)


def local_text(at_ms: int | None, zone: ZoneInfo) -> str:
    """The same the other way round."""
    return "" if at_ms is None else local_time(at_ms // 1000, zone).strftime("%Y-%m-%dT%H:%M")
