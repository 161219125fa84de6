"""One's own account: password, second factor, and where one is signed in."""

from collections.abc import Mapping
from typing import Final

import falcon.asgi
import segno
from wtforms import Form as Fields
from wtforms import PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

from couponry.console.gate import SESSION_COOKIE, Resource
from couponry.console.pages import Pages, cookie
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core import totp
from couponry.core.limits import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN, SESSION_MS_MAX
from couponry.core.problem import Problem
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store import audit, people, sessions
from couponry.store.engine import ReadTransaction, WriteTransaction

_PIXELS: Final = 5


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The page, and what is changed there."""
    return {
        "/account": Account(parts, pages),
        "/account/password": ChangePassword(parts, pages),
        "/account/second-factor": SecondFactor(parts, pages),
        "/account/second-factor/confirm": Confirm(parts, pages),
        "/account/second-factor/recovery": Recovery(parts, pages),
        "/account/second-factor/off": TurnOff(parts, pages),
        "/account/sessions/{mark}/end": EndSession(parts, pages),
    }


class PasswordFields(Fields):
    """A change of one's password."""

    old = PasswordField(
        "Password now",
        [InputRequired("Type the password that you have now."), Length(max=PASSWORD_CHARS_MAX)],
        description="So that nobody changes it on a screen that you left open.",
        render_kw={"autocomplete": "current-password"},
    )
    new = PasswordField(
        "New password",
        [
            InputRequired("Type a new password."),
            Length(PASSWORD_CHARS_MIN, PASSWORD_CHARS_MAX, f"Take at least {PASSWORD_CHARS_MIN} characters."),
        ],
        description=f"At least {PASSWORD_CHARS_MIN} characters, and not your e-mail. A few words of your own are best.",
        render_kw={"autocomplete": "new-password"},
    )
    again = PasswordField(
        "New password again",
        [InputRequired("Type the new password twice."), EqualTo("new", "The two are not the same.")],
        render_kw={"autocomplete": "new-password"},
    )


class CodeFields(Fields):
    """The first code of an app."""

    code = StringField(
        "Code",
        [InputRequired("Type the code."), Length(max=20)],
        description="The six digits that the app shows now.",
        render_kw={"autocomplete": "one-time-code", "inputmode": "numeric"},
    )


class OldPasswordFields(Fields):
    """Who turns a safeguard off says their password."""

    password = PasswordField(
        "Password",
        [InputRequired("Type your password."), Length(max=PASSWORD_CHARS_MAX)],
        render_kw={"autocomplete": "current-password"},
    )


class _Page:
    """A page about whoever is signed in."""

    NEEDS = NEEDS_TO_POST = Permission.BE_SIGNED_IN

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def _show(self, visit: Visit, resp: falcon.asgi.Response, form: PasswordFields | None = None) -> None:
        person = visit.session.person

        def read(tx: ReadTransaction) -> tuple[list[sessions.Place], int]:
            places = sessions.places(tx, person.org_id, person.id, visit.now_ms)
            return places, people.recovery_codes_left(tx, person.org_id, person.id)

        found = await self._parts.back_office.read(read)
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return
        self._pages.show(
            visit,
            resp,
            "account/account.html",
            status=422 if form else 200,
            person=person,
            form=form or PasswordFields(),
            off=OldPasswordFields(),
            places=found[0],
            codes_left=found[1],
            here=sessions.mark_of(visit.session.token),
        )

    async def _refusal(self, visit: Visit, password: str) -> str:
        """Why this is not the password of whoever is signed in; empty if it is."""
        person = visit.session.person
        name = ("user", person.email)
        refused = await self._parts.passwords.refusal(name, visit.address, password, person.password_hash)
        if refused is Code.OVERLOADED:
            return "Too much is going on at the moment. Please try again."
        return "That is not your password." if refused else ""

    def _done(self, visit: Visit, resp: falcon.asgi.Response, done: object, path: str, notice: str) -> None:
        if isinstance(done, Code):
            self._pages.failed(visit, resp, done)
        elif isinstance(done, Problem):
            self._pages.go(visit, resp, path, f"That could not be done: {done.detail or done.message}.")
        else:
            self._pages.go(visit, resp, path, notice)


class Account(_Page):
    """All of it."""

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Show it."""
        await self._show(visit, resp)


class ChangePassword(_Page):
    """A new password. Everybody who is signed in with the old one is signed out; this browser goes on with a new session."""

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Change it."""
        form, person = PasswordFields(visit.form), visit.session.person
        form.validate()
        new = form.new.data or ""
        if not form.errors and new.strip().lower() in {person.email, person.email.partition("@")[0]}:
            form.new.errors = [*form.new.errors, "Take something else than your e-mail."]
        elif not form.errors and new == form.old.data:
            form.new.errors = [*form.new.errors, "Take another one than before."]
        elif not form.errors and (refused := await self._refusal(visit, form.old.data or "")):
            form.old.errors = [*form.old.errors, refused]
        if form.errors:
            await self._show(visit, resp, form)
            return
        await self._change(visit, resp, await self._parts.passwords.hashed(new))

    async def _change(self, visit: Visit, resp: falcon.asgi.Response, password_hash: str) -> None:
        person, token = visit.session.person, f"{visit.org_id}.{self._parts.new_token()}"

        def write(tx: WriteTransaction) -> object:
            done = people.set_password(tx, visit.actor(), person.id, password_hash, must_change=False)
            if not isinstance(done, Problem):
                browser = visit.get_header("User-Agent", default="")
                sessions.begin(tx, person, token, visit.now_ms, address=visit.address, browser=browser)
            return done

        done = await self._parts.back_office.write(write)
        if not isinstance(done, Code | Problem):
            cookie(visit, resp, SESSION_COOKIE, token, max_age_s=SESSION_MS_MAX // 1000)
        self._done(visit, resp, done, "/account", "Your password is changed. Other browsers are signed out.")


class SecondFactor(_Page):
    """Setting it up: a secret to share with an app, and a code that shows that it is shared."""

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """The secret, as a picture and as text."""
        person, vault = visit.session.person, self._parts.vault
        secret = await self._parts.back_office.read(lambda tx: people.offered_secret(tx, person.org_id, person.id, vault))
        if isinstance(secret, Code):
            self._pages.failed(visit, resp, secret)
        elif secret is None:
            self._pages.go(visit, resp, "/account")
        else:
            _show_secret(self._pages, visit, resp, secret, CodeFields())

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Begin."""
        person, secret = visit.session.person, totp.new_secret(self._parts.new_token())
        done = await self._parts.back_office.write(
            lambda tx: people.offer_second_factor(tx, visit.actor(), person.id, self._parts.vault, secret)
        )
        self._done(visit, resp, done, "/account" if isinstance(done, Problem) else "/account/second-factor", "")


class Confirm(_Page):
    """The first code."""

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """From now on it counts; the recovery codes are shown this once."""
        person, vault, codes = visit.session.person, self._parts.vault, totp.recovery_codes(self._parts.new_token())
        code = visit.form.text("code")
        done = await self._parts.back_office.write(
            lambda tx: people.confirm_second_factor(tx, visit.actor(), person.id, vault, code, codes)
        )
        if done is None:
            _show_codes(self._pages, visit, resp, codes)
        else:
            self._done(visit, resp, done, "/account/second-factor", "")


class Recovery(_Page):
    """New codes for a lost phone."""

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Make them; they are shown this once."""
        if refused := await self._refusal(visit, visit.form.secret("password")):
            self._pages.go(visit, resp, "/account", refused)
            return
        person, codes = visit.session.person, totp.recovery_codes(self._parts.new_token())
        done = await self._parts.back_office.write(lambda tx: people.replace_recovery_codes(tx, visit.actor(), person.id, codes))
        if done is None:
            _show_codes(self._pages, visit, resp, codes)
        else:
            self._done(visit, resp, done, "/account", "")


class TurnOff(_Page):
    """No second factor any more."""

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Turn it off."""
        person = visit.session.person
        if refused := await self._refusal(visit, visit.form.secret("password")):
            self._pages.go(visit, resp, "/account", refused)
            return
        done = await self._parts.back_office.write(lambda tx: people.remove_second_factor(tx, visit.actor(), person.id))
        self._done(visit, resp, done, "/account", "The second factor is off. Your password alone signs you in.")


class EndSession(_Page):
    """One of one's own sessions, perhaps on a browser that is out of reach."""

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, mark: str) -> None:
        """End it."""
        person = visit.session.person

        def write(tx: WriteTransaction) -> bool:
            is_ended = sessions.end_marked(tx, person.org_id, person.id, mark)
            if is_ended:
                audit.record(tx, visit.actor(), "end session", ("user", person.id), after={"session": mark})
            return is_ended

        done = await self._parts.back_office.write(write)
        if done is False:
            self._pages.missing(visit, resp, "session")
        else:
            self._done(visit, resp, done, "/account", "That browser is signed out.")


def _show_secret(pages: Pages, visit: Visit, resp: falcon.asgi.Response, secret: bytes, form: CodeFields) -> None:
    picture = segno.make(totp.address(secret, visit.session.person.email), micro=False, error="m")
    drawn = picture.png_data_uri(scale=_PIXELS)
    pages.show(visit, resp, "account/second_factor.html", drawn=drawn, spelled=totp.spelled(secret), form=form)


def _show_codes(pages: Pages, visit: Visit, resp: falcon.asgi.Response, codes: tuple[str, ...]) -> None:
    pages.show(visit, resp, "account/recovery_codes.html", codes=codes)
