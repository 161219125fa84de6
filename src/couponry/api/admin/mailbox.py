"""The newest messages: `GET /admin/v1/mailbox`, and in a demo a page, so that a newcomer sees them without a gateway."""

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import Final, Literal

import falcon.asgi
import msgspec
from msgspec import Struct

from couponry.api import times
from couponry.api.admin.deliveries import Status, refused, sms_of, status_of
from couponry.api.admin.paging import PARAMETERS, Listed, Page, listed, page_of
from couponry.api.call import Call, Reply
from couponry.api.envelopes import ProblemDetails, admin_failure
from couponry.api.gate import DEMO_MAILBOX
from couponry.api.operation import Operation
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v2.replies import answered
from couponry.core.deliveries import Channel, Delivery
from couponry.core.emails import Email, email_from_body
from couponry.core.limits import MAILBOX_PAGE_MESSAGES
from couponry.core.messages import opened
from couponry.core.model import Org
from couponry.core.segments import Segments
from couponry.core.status import Code
from couponry.core.telling import OTP_MESSAGE
from couponry.core.validation import Vault
from couponry.store import demo, registry
from couponry.store.delivery_log import messages_sent
from couponry.store.engine import ReadTransaction

PATH: Final = "/admin/v1/mailbox"
_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_PAGE: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>Mailbox of the demo</title><style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#1c2430;background:#f4f6f8}}
article{{background:#fff;border-radius:12px;padding:1rem;margin:1rem 0;box-shadow:0 1px 3px #0002}}
header{{display:flex;gap:.6rem;flex-wrap:wrap;font-size:.85rem;color:#556}}b{{color:#1f5fbf}}
p{{white-space:pre-wrap;overflow-wrap:anywhere;margin:.6rem 0}}img{{display:block;image-rendering:pixelated}}
@media(prefers-color-scheme:dark){{body{{background:#14181e;color:#dfe5ec}}article{{background:#1d232b}}header{{color:#9ab}}}}
</style></head><body><h1>Mailbox</h1><p>What customers of the demo shop were sent, newest first.</p>{messages}</body></html>"""


class MessageShown(Struct, frozen=True, rename="camel"):
    """A message. Who reads a validation code could redeem in the customer's place, so outside a demo `text` is null for those."""

    id: int
    event: str
    channel: Literal["sms", "email"]
    to: str | None
    subject: str | None
    text: str | None
    codes: list[str]
    sms: Segments | None
    status: Status
    problem: str
    customer_id: int | None
    coupon_id: int | None
    created_at: str


OPERATIONS: Final = (
    Operation(
        PATH,
        "get",
        "The newest messages to customers: sent, waiting, failed, or not to be sent",
        Listed[MessageShown],
        ProblemDetails,
        parameters=PARAMETERS,
        codes=(Code.INVALID_INPUT,),
        refusal_status=400,
    ),
)


def routes(parts: Parts) -> dict[str, object]:
    """The list, and in a demo the page."""
    page = {DEMO_MAILBOX: DemoMailbox(parts)} if parts.is_demo else {}
    return {PATH: Mailbox(parts), **page}


class Mailbox:
    """Messages, newest first."""

    def __init__(self, parts: Parts) -> None:
        self._office, self._show = parts.back_office, Showing(parts.vault, shows_codes=parts.is_demo)

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """A page; two statements."""
        org, page = org_of(req), page_of(req)
        if not isinstance(org, Org) or not isinstance(page, Page):
            refused(org, page).write(resp)
            return
        wanted = {"limit": page.limit + 1, "before_id": page.before_id}
        found = await self._office.read(lambda tx: messages_sent(tx, org.id, **wanted))  # type: ignore[arg-type] # limit is an int
        if isinstance(found, Code):
            refused(found).write(resp)
            return
        answered(listed(page, found, lambda each: each.id, lambda each: self._show.shown(each, org))).write(resp)


class DemoMailbox:
    """The demo org's messages for whoever asks: there is nobody's data in a demo."""

    def __init__(self, parts: Parts) -> None:
        self._office, self._show = parts.back_office, Showing(parts.vault, shows_codes=True)

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """The page."""
        found = await self._office.read(self._newest)
        if isinstance(found, Code):
            admin_failure(found).write(resp)
            return
        Reply(200, await asyncio.to_thread(mailbox_page, found), _HEADERS).write(resp)

    def _newest(self, tx: ReadTransaction) -> list[MessageShown]:
        org_id = registry.org_of_login(tx, "till", demo.TILL)
        org = None if org_id is None else registry.read_org(tx, org_id)
        if not isinstance(org, Org):
            return []
        return [self._show.shown(each, org) for each in messages_sent(tx, org.id, limit=MAILBOX_PAGE_MESSAGES)]


class Showing:
    """Reads what messages say. `shows_codes`: also of those that a validation code is sent by."""

    def __init__(self, vault: Vault, *, shows_codes: bool) -> None:
        self._vault, self._shows_codes = vault, shows_codes

    def shown(self, each: Delivery, org: Org) -> MessageShown:
        """A message as the admin API shows it."""
        is_email = not Channel(each.target_id).is_sms
        email = self._email(each, org) if is_email else None
        text = (email.text if email else None) if is_email else self._body(each, org)
        return MessageShown(
            id=each.id,
            event=each.event,
            channel="email" if is_email else "sms",
            to=each.address,
            subject=email.subject if email else None,
            text=text,
            codes=list(email.codes) if email else [],
            sms=sms_of(each.target_id, text),
            status=status_of(each),
            problem=each.problem,
            customer_id=each.customer_id,
            coupon_id=each.coupon_id,
            created_at=times.shown(each.created_ms, org.zone),
        )

    def _body(self, each: Delivery, org: Org) -> str | None:
        if each.event == OTP_MESSAGE and not self._shows_codes:
            return None
        return opened(self._vault, org.id, each.outbox_id, each.event, each.body)

    def _email(self, each: Delivery, org: Org) -> Email | None:
        body = self._body(each, org)
        try:
            return email_from_body(body) if body else None
        except msgspec.DecodeError:
            return None


def mailbox_page(messages: Sequence[MessageShown]) -> bytes:
    """The page; QR codes take milliseconds each."""
    drawn = "".join(map(_message, messages)) or "<article>Nothing yet: issue a coupon, and look again.</article>"
    return _PAGE.format(messages=drawn).encode(errors="replace")


def _message(each: MessageShown) -> str:
    size = f"{each.sms.segments} SMS, {each.sms.units} of {each.sms.encoding}" if each.sms else ""
    about = (escape(each.to or "-"), escape(each.created_at), each.status, size, escape(each.problem))
    head = (f"<b>{each.channel.upper()}</b>", *about)
    codes = Email("", "", "", tuple(each.codes)).images()
    images = "".join(
        f'<img alt="{escape(code)}" src="data:image/png;base64,{b64encode(png).decode()}">'
        for code, (_cid, png) in zip(each.codes, codes, strict=True)
    )
    subject = f"<h2>{escape(each.subject)}</h2>" if each.subject else ""
    spans = "".join(f"<span>{part}</span>" for part in head if part)
    return f"<article><header>{spans}</header>{subject}<p>{escape(each.text or '')}</p>{images}</article>"
