"""How often people do things, counted where several processes see it: what is rare by rule, and what happens once.

The statement that counts also holds the limit, so that two at once cannot both be the last.
"""

from typing import Final

from sqlalchemy import delete, text, update

from couponry.core.limits import DAY_MS
from couponry.store import schema as t
from couponry.store.engine import WriteTransaction

_COUNT: Final = text(
    "INSERT INTO tally (org_id, user_id, kind, since_ms, count) VALUES (:org, :user, :kind, :since, 1) "
    "ON CONFLICT (org_id, user_id, kind, since_ms) DO UPDATE SET count = tally.count + 1 WHERE tally.count < :most "
    "RETURNING count"
)


def count(tx: WriteTransaction, who: tuple[int, int], kind: str, since_ms: int, most: int) -> bool:
    """Count one more thing that `who` (org, user) does since an instant; False where that would be more than `most`."""
    if most <= 0:
        return False
    asked = {"org": who[0], "user": who[1], "kind": kind, "since": since_ms, "most": most}
    return tx.connection.execute(_COUNT, asked).scalar() is not None


def give_back(tx: WriteTransaction, who: tuple[int, int], kind: str, since_ms: int) -> None:
    """What was counted did not happen after all."""
    tally = t.tally.c
    same = (tally.org_id == who[0], tally.user_id == who[1], tally.kind == kind, tally.since_ms == since_ms)
    tx.connection.execute(update(t.tally).where(*same, tally.count > 0).values(count=tally.count - 1))


def forget(tx: WriteTransaction, who: tuple[int, int], now_ms: int) -> None:
    """Forget what somebody did two days ago, when it was still yesterday somewhere."""
    tally = t.tally.c
    tx.connection.execute(
        delete(t.tally).where(tally.org_id == who[0], tally.user_id == who[1], tally.since_ms < now_ms - 2 * DAY_MS)
    )
