"""What reminders and notices are made of, and how far they have come: each is told in the transaction that says it was told.

Steps of a walk are read without a lock, by the index of a series' coupons and never more than a few thousand of them. Whoever
writes one holds the row of its walk, and finds it where the step began; so two workers do not remind of one coupon, nor one that
has died and another that goes on.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Integer, Select, bindparam, func, insert, literal, select, text, true, update

from couponry.core import ids
from couponry.core.limits import REMINDER_CHUNK_ROWS
from couponry.core.reminders import NEVER, Walk, Watched, watched
from couponry.core.telling import Rank
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.dialect import Dialect
from couponry.store.engine import ReadTransaction, Stage, WriteTransaction
from couponry.store.rows import series_from_text
from couponry.store.selects import Keyed
from couponry.store.statements import Probe, org_parameter

_REQUEST_ID: Final = "reminders"
"""What these causes were asked for by."""
_BEGIN: Final = text("""
    INSERT INTO series_notice (org_id, series_id, topic, about, reached) VALUES (:org, :series, :topic, '', :never)
    ON CONFLICT (org_id, series_id, topic) DO NOTHING
""")


class Head(NamedTuple):
    """A series as a look meets it; `is_halted` while its campaign is paused, and once it has ended."""

    series_id: int
    version: int
    created_ms: int
    is_halted: bool


class Notice(NamedTuple):
    """How far a topic of a series is (`series_notice`)."""

    about: str
    reached: int | None


NOT_YET: Final = Notice("", NEVER)


class Holder(NamedTuple):
    """A coupon to be reminded of."""

    coupon_id: int
    customer_id: int
    expires_local: str | None


class Step(NamedTuple):
    """Some coupons of a series; `last_id` is the last that was looked at, None for the series' last."""

    holders: Sequence[Holder]
    last_id: int | None


class Notices:
    """The statements of one dialect, compiled once. A step of a walk looks at `step_rows` coupons."""

    def __init__(self, dialect: Dialect, step_rows: int = REMINDER_CHUNK_ROWS) -> None:
        versions, version = dialect.keys("versions", BigInteger(), Integer()), t.series_version.c
        source = versions.probing(t.series_version, "series_id", "version")
        terms = select(version.series_id, version.version, version.terms, version.created_ms).select_from(source)
        self._terms = Keyed(dialect, terms, versions)
        keys, notice = dialect.keys("ids", BigInteger()), t.series_notice.c
        source = keys.probing(t.series_notice, "series_id")
        columns = (notice.series_id, notice.topic, notice.about, notice.reached)
        self._notices = Keyed(dialect, select(*columns).select_from(source), keys)
        keys, counter = dialect.keys("ids", BigInteger()), t.series_counter.c
        source = keys.probing(t.series_counter, "series_id")
        issued = select(counter.series_id, counter.issued + counter.issued_elsewhere).select_from(source)
        self._issued = Keyed(dialect, issued.where(counter.stripe == t.CAPPED_STRIPE), keys)
        self._heads = dialect.read(_heads())
        self._place = dialect.read(_in_series(t.coupon.c.id).order_by(t.coupon.c.id).limit(1).offset(step_rows - 1))
        self._holders = dialect.read(_holders())
        outbox = ("id", "event", "subject_id", "customer_id", "request_id", "created_ms", "rank")
        self._outbox = dialect.insert(t.outbox, outbox)
        self._reminders = dialect.insert(t.reminder, ("coupon_id", "reminder", "sent_ms"))

    def heads(self, tx: ReadTransaction, org_id: int, after_id: int, most: int, now_ms: int) -> list[Head]:
        """The next series of an org by id."""
        rows = tx.read(self._heads, {"org": org_id, "after": after_id, "most": most})
        return [
            Head(
                series_id, version, created_ms, bool(state) and (state != "ACTIVE" or (now_ms if ends is None else ends) < now_ms)
            )
            for series_id, version, created_ms, state, ends in rows
        ]

    def watched(self, tx: ReadTransaction, org_id: int, versions: Sequence[tuple[int, int]]) -> dict[int, Watched]:
        """What there is to look for in these versions of series; those that cannot be read are missing."""
        rows = self._terms.rows(tx, org_id, versions)
        return {row[0]: watched(series, made_ms) for *row, made_ms in rows if (series := series_from_text(*row))}

    def notices(self, tx: ReadTransaction, org_id: int, series_ids: Sequence[int]) -> dict[tuple[int, str], Notice]:
        """How far these series are, by topic."""
        rows = self._notices.rows(tx, org_id, [(series_id,) for series_id in series_ids])
        return {(series_id, topic): Notice(about, reached) for series_id, topic, about, reached in rows}

    def issued(self, tx: ReadTransaction, org_id: int, series_ids: Sequence[int]) -> dict[int, int]:
        """How many were issued of capped series."""
        rows = self._issued.rows(tx, org_id, [(series_id,) for series_id in series_ids])
        return {row[0]: int(row[1]) for row in rows}

    def step(self, tx: ReadTransaction, org_id: int, series_id: int, walk: Walk, after_id: int) -> Step:
        """The next coupons of a series, and who is to be reminded of which: holders of those neither used nor revoked."""
        asked: dict[str, Any] = {"org": org_id, "series": series_id, "after": after_id}
        place = tx.read(self._place, asked)
        last_id = int(place[0][0]) if place else None
        asked |= {"last": 2**62 if last_id is None else last_id, "at": walk.at_ms, "topic": walk.topic}
        days = {"first": walk.expires_on, "end": (date.fromisoformat(walk.expires_on) + timedelta(1)).isoformat()}
        rows = tx.read(self._holders, {**asked, **days, "follows": int(walk.follows)})
        return Step([Holder(*row) for row in sorted(rows)], last_id)

    def hold(self, tx: WriteTransaction, org_id: int, series_id: int, topic: str) -> Notice:
        """Lock a topic of a series; how far it is."""
        tx.stage = Stage.OUTBOX
        key = {"org": org_id, "series": series_id, "topic": topic}
        tx.connection.execute(_BEGIN, {**key, "never": NEVER})
        notice = t.series_notice
        found = select(notice.c.about, notice.c.reached).where(*_same(org_id, series_id, topic))
        ((about, reached),) = tx.rows(tx.dialect.locked(found, notice), {})
        return Notice(about, reached)

    def move(self, tx: WriteTransaction, org_id: int, series_id: int, topic: str, notice: Notice) -> None:
        """How far a topic is that is held."""
        moved = update(t.series_notice).where(*_same(org_id, series_id, topic)).values(notice._asdict())
        tx.connection.execute(moved)

    def remind(self, tx: WriteTransaction, org_id: int, walk: Walk, holders: Sequence[Holder], now_ms: int) -> None:
        """Have these holders reminded, each once."""
        if holders:
            first = _event_ids(tx, org_id, len(holders))
            told = [
                (event_id, walk.cause, each.coupon_id, each.customer_id, _REQUEST_ID, now_ms, Rank.LATER.value)
                for event_id, each in enumerate(holders, first)
            ]
            tx.write(self._reminders, org_id, [(each.coupon_id, walk.topic, now_ms) for each in holders])
            tx.write(self._outbox, org_id, told)

    def tell(self, tx: WriteTransaction, org_id: int, event: str, series_id: int, now_ms: int, left: int | None = None) -> None:
        """Have others told about a series; `left` is how many more may be issued."""
        row = {
            "event": event,
            "subject_id": series_id,
            "subject_ids": None if left is None else f"[{series_id},{left}]",
            "request_id": _REQUEST_ID,
            "created_ms": now_ms,
        }
        tx.connection.execute(insert(t.outbox).values(org_id=org_id, id=_event_ids(tx, org_id, 1), **row))


def _event_ids(tx: WriteTransaction, org_id: int, count: int) -> int:
    return ids.first_id(ids.REDEMPTION, org_id, serials.reserve(tx, org_id, serials.OUTBOX, count))


def _same(org_id: int, series_id: int, topic: str) -> tuple[Any, ...]:
    notice = t.series_notice.c
    return (notice.org_id == org_id, notice.series_id == series_id, notice.topic == topic)


def _heads() -> Select[Any]:
    series, campaign = t.series.c, t.campaign.c
    same_campaign = (campaign.org_id == series.org_id) & (campaign.id == series.campaign_id)
    columns = (series.id, series.version, series.created_ms, campaign.state, campaign.ends_ms)
    found = select(*columns).select_from(t.series.outerjoin(t.campaign, same_campaign))
    found = found.where(series.org_id == org_parameter(), series.id > bindparam("after"))
    return found.order_by(series.id).limit(bindparam("most"))


def _in_series(*columns: Any) -> Select[Any]:  # noqa: ANN401 - columns of any type
    """The coupons of a series after an id, by the index of just these."""
    coupon = t.coupon.c
    alone = Probe(select(literal(1)).subquery("one"), t.coupon, true())
    alone.index, alone.is_alone = "ix_coupon_series", True
    place = (coupon.org_id == org_parameter(), coupon.series_id == bindparam("series"), coupon.id > bindparam("after"))
    return select(*columns).select_from(alone).where(*place)


def _holders() -> Select[Any]:
    coupon, reminder = t.coupon.c, t.reminder.c
    same = (reminder.org_id == org_parameter(), reminder.coupon_id == coupon.id, reminder.reminder == bindparam("topic"))
    expires_then = coupon.expires_local.between(bindparam("first"), bindparam("end")) | (
        coupon.expires_local.is_(None) & (bindparam("follows", type_=Integer()) == 1)
    )
    return _in_series(coupon.id, coupon.customer_id, coupon.expires_local).where(
        coupon.id <= bindparam("last"),
        coupon.customer_id.is_not(None),
        coupon.revoked_ms.is_(None),
        coupon.redeemed == 0,
        coupon.issued_ms <= bindparam("at"),
        expires_then,
        # A count is looked up by its whole key; NOT EXISTS would be a join, made by half of it where there are no statistics.
        select(func.count()).select_from(t.reminder).where(*same).correlate(t.coupon).scalar_subquery() == 0,
    )
