"""Looking somebody up is itself an action: counted for each person, and in the audit log before anything is shown."""

from functools import partial
from typing import Any, Final

import falcon.asgi
import structlog

from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core.limits import DAY_MS, LOOKUPS_A_DAY_MAX, LOOKUPS_A_MINUTE_MAX, MINUTE_MS
from couponry.core.status import Code
from couponry.store import audit, tallies
from couponry.store.engine import WriteTransaction
from couponry.store.timeline import LOOKED_UP

_WINDOWS: Final = ((MINUTE_MS, LOOKUPS_A_MINUTE_MAX), (DAY_MS, LOOKUPS_A_DAY_MAX))

log = structlog.get_logger()


class Lookups:
    """Lets a person look things up, so many in a minute and in a day, whichever of our processes they ask."""

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def is_let(
        self,
        visit: Visit,
        resp: falcon.asgi.Response,
        subject: tuple[str, object],
        *,
        action: str = LOOKED_UP,
        after: dict[str, Any] | None = None,
    ) -> bool:
        """Note that this is looked at; False once the answer says that it was too much."""
        noted = await self._parts.back_office.write(partial(_noted, visit, action, subject, after))
        if isinstance(noted, Code):
            self._pages.failed(visit, resp, noted)
            return False
        if not noted:
            log.warning("look_ups_limited", org_id=visit.org_id, user_id=visit.session.person.id)
            resp.set_header("Retry-After", "60")
            why = f"At most {LOOKUPS_A_MINUTE_MAX} in a minute and {LOOKUPS_A_DAY_MAX} in a day. Please wait a minute."
            self._pages.problem(visit, resp, 429, "That was a lot of look-ups", why)
        return noted


def _noted(visit: Visit, action: str, subject: tuple[str, object], after: dict[str, Any] | None, tx: WriteTransaction) -> bool:
    who, now_ms = (visit.org_id, visit.session.person.id), visit.now_ms
    tallies.forget(tx, who, now_ms)
    for window_ms, most in _WINDOWS:
        if not tallies.count(tx, who, f"look-ups {window_ms}", now_ms - now_ms % window_ms, most):
            return False
    audit.record(tx, visit.actor(), action, subject, after=after)
    return True
