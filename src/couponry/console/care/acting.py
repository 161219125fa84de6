"""What an agent can do to one coupon. Each action has a page that says what will happen and asks; the ledger judges it."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import falcon.asgi
from msgspec import Struct
from wtforms import DateField, StringField
from wtforms import Form as Fields
from wtforms.validators import InputRequired, Length

from couponry.console.care import once
from couponry.console.care.lookups import Lookups
from couponry.console.fields import Choice
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core import expiry
from couponry.core.care_words import why_not
from couponry.core.commands import Command, Item, Redate, Resend, Reverse, Revoke
from couponry.core.limits import REASON_CHARS_MAX, TERMS_YEAR_MAX
from couponry.core.model import REVERSAL_REASONS, Handling, Place
from couponry.core.plan import RedateAnswer, ResendAnswer, ReverseAnswer, RevokeAnswer
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.core.timeline import Used, spoken
from couponry.store import audit, timeline
from couponry.store import care as store
from couponry.store.care import CouponFile
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.places import place_of_redemption

NO_TILL: Final = "The org has no active till, and what is done here is recorded for one. Switch a till on first."


class View(Struct, frozen=True):
    """A coupon with those of its redemptions that can be reversed."""

    file: CouponFile
    uses: list[Used]


class Resending(Fields):
    """Nothing is asked."""


class Revoking(Fields):
    """Why."""

    reason = StringField(
        "Reason",
        [InputRequired("Say why."), Length(max=REASON_CHARS_MAX)],
        description="For the audit log and whoever is asked later.",
    )


class Extending(Fields):
    """Until when, and why."""

    until = DateField(
        "New last day", [InputRequired("Choose a day.")], description="The coupon is good until the end of this day."
    )
    reason = StringField(
        "Reason",
        [InputRequired("Say why."), Length(max=REASON_CHARS_MAX)],
        description="For the audit log and whoever is asked later.",
    )


class Reversing(Fields):
    """Which redemption, and why."""

    redemption = Choice("Redemption", {}, description="The use that is to be undone.")
    reason = Choice(
        "Reason",
        {name: spoken(name).capitalize() for name in REVERSAL_REASONS},
        description="The series may treat each reason in its own way: a use comes back, or stays consumed.",
    )


class Act(Struct, frozen=True):
    """One action: its words, its form, and the order that it becomes."""

    title: str
    explained: str
    button: str
    done: str
    form: Callable[..., Fields]
    command: Callable[[Visit, Place, View, Fields], Command | str]
    confirm: str = ""
    is_danger: bool = False


def _resend(visit: Visit, place: Place, view: View, _form: Fields) -> Command | str:
    who = (("id", str(view.file.coupon.customer_id or 0)),)
    return Resend(visit.org_id, place, who, (Item(None, view.file.coupon.id),), request_id=visit.request_id)


def _revoke(visit: Visit, place: Place, view: View, _form: Fields) -> Command | str:
    coupon = view.file.coupon
    return Revoke(visit.org_id, place, _holder(view.file), coupon.series_id, (coupon.code,), visit.request_id)


def _extend(visit: Visit, place: Place, view: View, form: Fields) -> Command | str:
    file, until = view.file, form["until"].data
    if file.head.series is None or until.year >= TERMS_YEAR_MAX:
        return "Choose an earlier day."
    until_ms = expiry.last_ms(expiry.end_of_day(until), file.head.series.zone)
    if file.expires_ms is not None and until_ms <= file.expires_ms:
        return "The coupon is good for as long already. Choose a later day."
    expiries = ((file.coupon.code, until_ms // 1000 * 1000),)
    return Redate(visit.org_id, place, _holder(file), file.coupon.series_id, expiries, visit.request_id)


def _reverse(visit: Visit, place: Place, _view: View, form: Fields) -> Command | str:
    return Reverse(visit.org_id, place, (int(form["redemption"].data),), form["reason"].data, visit.request_id)


ACTS: Final[Mapping[str, Act]] = MappingProxyType(
    {
        "resend": Act(
            "Send the message again",
            "The customer gets the message with this coupon's code once more, by SMS.",
            "Send it again",
            "The message is on its way.",
            Resending,
            _resend,
        ),
        "extend": Act(
            "Extend the expiry",
            "The coupon can be redeemed until the end of the day that you choose. It cannot outlive its series.",
            "Extend it",
            "The coupon is good for longer now.",
            Extending,
            _extend,
        ),
        "reactivate": Act(
            "Reactivate",
            "One redemption is undone. The customer can use the coupon again, unless the series keeps the use for this reason.",
            "Reactivate it",
            "The redemption is reversed.",
            Reversing,
            _reverse,
            "Reverse this redemption?",
        ),
        "revoke": Act(
            "Revoke",
            "The coupon is taken out of circulation for good. Nobody can redeem it again, and this cannot be undone.",
            "Revoke it for good",
            "The coupon is revoked.",
            Revoking,
            _revoke,
            "Revoke this coupon for good?",
            is_danger=True,
        ),
    }
)


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The page of each action."""
    return {"/care/coupons/{coupon_id}/{act}": Acting(parts, pages)}


def is_of_many(file: CouponFile) -> bool:
    """Whether it is a code that customers share, not one customer's own record of it."""
    series = file.head.series
    return series is not None and series.terms.client_handling_type is Handling.SHARED and not file.coupon.holder_id


def offered(file: CouponFile) -> list[str]:
    """What makes sense for a coupon as it is; the ledger has the last word."""
    coupon = file.coupon
    if coupon.is_revoked or is_of_many(file) or file.head.series is None:
        return ["reactivate"] if coupon.redeemed and not coupon.is_revoked else []
    found = ["resend"] if coupon.customer_id is not None and file.state == "live" else []
    found += ["extend"] if file.state in {"live", "expired", "unissued"} else []
    found += ["reactivate"] if coupon.redeemed else []
    return [*found, "revoke"] if file.state != "used" else found


class Acting:
    """One action on one coupon: asked on a page, done once, recorded before it is done."""

    NEEDS = NEEDS_TO_POST = Permission.CARE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages
        self._lookups = Lookups(parts, pages)

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, coupon_id: str, act: str) -> None:
        """What will happen, and the form."""
        view = await self._view(visit, resp, coupon_id, act)
        if view:
            self._show(visit, resp, act, view, _form(act, view, {"redemption": visit.query("redemption")}))

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, coupon_id: str, act: str) -> None:
        """Do it, or say why not."""
        view = await self._view(visit, resp, coupon_id, act)
        if not view:
            return
        form = _form(act, view, visit.form)
        if not form.validate():
            self._show(visit, resp, act, view, form, status=422)
            return
        done = await self._done(visit, act, view, form)
        if isinstance(done, str):
            self._pages.go(visit, resp, f"/care/coupons/{view.file.coupon.id}", done)
        else:
            self._show(visit, resp, act, view, form, problem=done.why, status=409)

    async def _view(self, visit: Visit, resp: falcon.asgi.Response, coupon_id: str, act: str) -> View | None:
        wanted = number_of(coupon_id) if act in ACTS else None
        if wanted is not None and not await self._lookups.is_let(visit, resp, ("coupon", wanted)):
            return None
        found = None if wanted is None else await self._parts.back_office.read(partial(_viewed, visit, wanted))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
        elif found is None:
            self._pages.missing(visit, resp, "coupon")
        else:
            return found
        return None

    async def _done(self, visit: Visit, act: str, view: View, form: Fields) -> "str | Refusal":
        """A notice once it is done, or was before; else why not."""
        begun = await self._parts.back_office.write(partial(_begun, visit, act, view, form))
        if isinstance(begun, Code):
            return Refusal(why_not(begun))
        if isinstance(begun, str | Refusal):
            return begun
        refused = _refused((await self._parts.ledger.submit(begun)).answer)
        return Refusal(why_not(refused)) if refused else ACTS[act].done

    def _show(
        self,
        visit: Visit,
        resp: falcon.asgi.Response,
        act: str,
        view: View,
        form: Fields,
        *,
        problem: str = "",
        status: int = 200,
    ) -> None:
        context = {"act": ACTS[act], "name": act, "file": view.file, "form": form, "problem": problem}
        token = once.new_token(self._parts, visit)
        self._pages.show(
            visit, resp, "care/act.html", status=status, token=token, is_offered=act in offered(view.file), **context
        )


class Refusal(Struct, frozen=True):
    """Why something was not done, and the next step."""

    why: str


def _viewed(visit: Visit, coupon_id: int, tx: ReadTransaction) -> View | None:
    file = store.coupon_file(tx, visit.org_id, coupon_id, visit.now_ms)
    if file is None:
        return None
    uses = timeline.uses(tx, visit.org_id, coupon_id)
    return View(file, [use for use in uses if use.reversed_ms is None and not use.reason])


def _form(act: str, view: View, sent: Any) -> Fields:  # noqa: ANN401 - a form, or what is known beforehand
    form = ACTS[act].form(sent if hasattr(sent, "getlist") else None, data=sent if isinstance(sent, dict) else None)
    if isinstance(form, Reversing):
        form.redemption.offer({str(use.id): _named(use) for use in view.uses})
    return form


def _named(use: Used) -> str:
    return (
        f"Redemption {use.id} at {use.store}, {f'bill {use.transaction_number}' if use.transaction_number else 'no bill number'}"
    )


def _begun(visit: Visit, act: str, view: View, form: Fields, tx: WriteTransaction) -> "Command | str | Refusal":
    """The order for the ledger, after the audit log has it. A form that was sent before orders nothing."""
    place = store.desk(tx, visit.session.org)
    if act == "reactivate":
        place = place_of_redemption(tx, visit.session.org, int(form["redemption"].data))
    if place is None:
        return Refusal(NO_TILL)
    command = ACTS[act].command(visit, place, view, form)
    if isinstance(command, str):
        return Refusal(command)
    if not once.take(tx, visit):
        return once.ALREADY
    told = {field.name: field.data for field in form if field.data}
    before = {"state": view.file.state, "expires": view.file.coupon.expires_local}
    audit.record(tx, visit.actor(), f"asked: {act}", ("coupon", view.file.coupon.id), before=before, after=told)
    return command


def _holder(file: CouponFile) -> tuple[tuple[str, str], ...] | None:
    """Whose own record of a shared code is meant; for other codes the code is enough."""
    return (("id", str(file.coupon.holder_id)),) if file.coupon.holder_id else None


def _refused(answer: object) -> Code | None:
    """Why the ledger did not do it; None once it has."""
    match answer:
        case ResendAnswer(status=status):
            return None if status is Code.RESENT else status
        case ReverseAnswer(status=status):
            return None if status is Code.PROCESSED else status
        case RevokeAnswer(status=status, failed=failed):
            return failed[0][0] if failed else None if status is Code.PROCESSED else status
        case RedateAnswer(status=status, items=items):
            return next((code for code in items if code), None) if status is Code.PROCESSED else status
        case _:
            return Code.UNKNOWN_ERROR
