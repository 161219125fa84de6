"""Messages to customers, newest first; in a demo this is the mailbox."""

from collections.abc import Mapping

import falcon.asgi
import msgspec
from msgspec import Struct

from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core.deliveries import Channel, Delivery
from couponry.core.emails import email_from_body
from couponry.core.limits import CONSOLE_PAGE_ROWS
from couponry.core.messages import opened
from couponry.core.roles import Permission
from couponry.core.segments import segments
from couponry.core.status import Code
from couponry.core.telling import OTP_MESSAGE
from couponry.core.validation import Vault
from couponry.store.delivery_log import messages_sent


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The list."""
    return {"/messages": Messages(parts, pages)}


class Said(Struct, frozen=True):
    """A message with what it says; None where nobody may read it. `parts` are those that an SMS is sent in."""

    sent: Delivery
    channel: str
    subject: str
    text: str | None
    parts: int | None


class Messages:
    """What customers were sent."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_OPERATIONS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """A page; one statement, which looks at a bounded number of deliveries."""
        before_id = visit.number("before")
        found = await self._parts.back_office.read(
            lambda tx: messages_sent(tx, visit.org_id, limit=CONSOLE_PAGE_ROWS + 1, before_id=before_id)
        )
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return
        rows = [said(each, visit.org_id, self._parts.vault) for each in found[:CONSOLE_PAGE_ROWS]]
        older = rows[-1].sent.id if len(found) > CONSOLE_PAGE_ROWS else None
        self._pages.show(visit, resp, "operations/messages.html", messages=rows, older=older, is_demo=self._parts.is_demo)


def said(sent: Delivery, org_id: int, vault: Vault) -> Said:
    """What a message says. Who reads a validation code could redeem in the customer's place, so nobody does."""
    body = None if sent.event == OTP_MESSAGE else opened(vault, org_id, sent.outbox_id, sent.event, sent.body)
    if sent.target_id == Channel.SMS:
        return Said(sent, "SMS", "", body, segments(body).segments if body else None)
    try:
        email = email_from_body(body) if body else None
    except msgspec.DecodeError:
        email = None
    return Said(sent, "E-mail", email.subject if email else "", email.text if email else None, None)
