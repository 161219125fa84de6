"""Pages: templates filled in, and the answers that carry them."""

import datetime as dt
import hmac
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode
from zoneinfo import ZoneInfo

import falcon.asgi
import jinja2
import msgspec
from msgspec import Struct

from couponry.console.visit import Visit
from couponry.core.form_secret import form_secret, is_form_secret
from couponry.core.limits import NOTICE_CHARS_MAX
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store.sessions import COOKIE, Session

ROOT: Final = "/console"
FOLDER: Final = Path(__file__).parent
HTML: Final = "text/html; charset=utf-8"
# Nothing but our own files; no inline script or style, and nobody may frame us.
SAFE_CONTENT: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
NOTICE_COOKIE: Final = "couponry-notice"
_LONG_AGO: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Link(Struct, frozen=True):
    """An entry of the navigation."""

    text: str
    path: str
    needs: Permission
    group: str = ""


NAVIGATION: Final = (
    Link("Home", "/", Permission.SEE_FIGURES),
    Link("Campaigns", "/campaigns", Permission.SEE_CAMPAIGNS, "Campaign Manager"),
    Link("Calendar", "/calendar", Permission.SEE_CAMPAIGNS, "Campaign Manager"),
    Link("Series", "/series", Permission.SEE_CAMPAIGNS, "Campaign Manager"),
    Link("Approvals", "/approvals", Permission.BE_SIGNED_IN, "Campaign Manager"),
    Link("Find", "/care", Permission.SEE_CUSTOMERS, "Member Care"),
    Link("Stores and tills", "/stores", Permission.SEE_OPERATIONS, "Operations"),
    Link("Credentials", "/credentials", Permission.SEE_OPERATIONS, "Operations"),
    Link("Webhooks", "/webhooks", Permission.SEE_OPERATIONS, "Operations"),
    Link("Jobs", "/jobs", Permission.SEE_CAMPAIGNS, "Operations"),
    Link("Dead letters", "/dead-letters", Permission.SEE_OPERATIONS, "Operations"),
    Link("Messages", "/messages", Permission.SEE_OPERATIONS, "Operations"),
    Link("Settings", "/settings", Permission.SEE_OPERATIONS, "Operations"),
    Link("People", "/people", Permission.MANAGE_PEOPLE, "Operations"),
    Link("Audit log", "/audit", Permission.SEE_AUDIT, "Operations"),
)


class Pages:
    """Fills templates in. `secret` signs what a browser keeps for us."""

    def __init__(self, secret: bytes) -> None:
        self._secret, self._key = secret, hmac.digest(secret, b"console", "sha256")
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters |= {
            "number": number,
            "percent": percent,
            "query": query,
            "pathpart": lambda it: quote(str(it), safe=""),
        }
        self._templates.globals |= {"root": ROOT, "P": Permission, "stamp": _stamp()}

    def show(self, visit: Visit, resp: falcon.asgi.Response, template: str, *, status: int = 200, **context: Any) -> None:  # noqa: ANN401 - whatever the template names
        """Answer with a page; `template` finds `visit`, `csrf`, `local` and `context`."""
        resp.status = status
        resp.content_type = HTML
        resp.text = self.filled(visit, template, notice=self._notice(visit, resp), **context)

    def filled(self, visit: Visit, template: str, **context: Any) -> str:  # noqa: ANN401 - as above
        """A template's text, for a page or a part of one."""
        session = visit.maybe_session
        return self._templates.get_template(template).render(
            visit=visit,
            links=[link for link in NAVIGATION if visit.may(link.needs)],
            csrf=self.csrf(session) if session else "",
            local=Local(session),
            **{"notice": "", **context},
        )

    def problem(self, visit: Visit, resp: falcon.asgi.Response, status: int, what: str, why: str = "") -> None:
        """Answer that it cannot be, in words."""
        self.show(visit, resp, "problem.html", status=status, what=what, why=why)

    def failed(self, visit: Visit, resp: falcon.asgi.Response, code: Code) -> None:
        """Answer that the database could not do it; what a code means, its own message says."""
        resp.set_header("Retry-After", "5")
        self.problem(visit, resp, 503, "That did not work just now", f"{code.message}. Nothing was changed; please try again.")

    def missing(self, visit: Visit, resp: falcon.asgi.Response, what: str = "page") -> None:
        """Answer that there is no such thing in this org."""
        self.problem(visit, resp, 404, f"There is no such {what}", "It may have been removed, or the address may be mistyped.")

    def go(self, visit: Visit, resp: falcon.asgi.Response, path: str, notice: str = "") -> None:
        """After a change: send the browser on to `path` below the console, where it shows the notice once."""
        assert path.startswith("/"), "a path of ours"
        resp.status = 303
        resp.set_header("Location", ROOT + path)
        if notice:
            text = notice[:NOTICE_CHARS_MAX]
            cookie(visit, resp, NOTICE_COOKIE, f"{self._signature('notice', text)}{quote(text)}")

    def csrf(self, session: Session) -> str:
        """What every form of a session carries, and no other site can know."""
        return form_secret(self._secret, session.token)

    def is_csrf(self, session: Session, sent: str) -> bool:
        """Whether a form came from a page of ours."""
        return is_form_secret(self._secret, session.token, sent)

    def _notice(self, visit: Visit, resp: falcon.asgi.Response) -> str:
        sent = visit.cookies.get(NOTICE_COOKIE, "")
        if not sent:
            return ""
        forget(visit, resp, NOTICE_COOKIE)
        signature, text = sent[:64], unquote(sent[64:])
        return text if hmac.compare_digest(signature.encode(), self._signature("notice", text).encode()) else ""

    def _signature(self, purpose: str, text: str) -> str:
        return hmac.digest(self._key, f"{purpose}\0{text}".encode(), "sha256").hex()


class Local:
    """How an org reads instants, days and money."""

    def __init__(self, session: Session | None) -> None:
        self.zone = session.org.zone if session else ZoneInfo("UTC")
        self.currency = session.org.currency if session else ""

    def when(self, instant_ms: int | None) -> str:
        """An instant in the org's zone, to the minute; a dash for none."""
        return "–" if instant_ms is None else f"{self.at(instant_ms):%-d %b %Y, %H:%M}"

    def day(self, instant_ms: int | None) -> str:
        """An instant's day in the org's zone."""
        return "–" if instant_ms is None else f"{self.at(instant_ms):%-d %b %Y}"

    def iso(self, instant_ms: int) -> str:
        """An instant as `<time datetime>` wants it."""
        return self.at(instant_ms).isoformat(timespec="seconds")

    def at(self, instant_ms: int) -> dt.datetime:
        """An instant in the org's zone."""
        return dt.datetime.fromtimestamp(instant_ms / 1000, self.zone)

    def money(self, amount: Decimal | None) -> str:
        """An amount in the org's currency."""
        return "–" if amount is None else f"{self.currency} {amount:,.2f}"


def number(value: float | None) -> str:
    """With separators between thousands; a dash for none."""
    return "–" if value is None else f"{value:,}"


def percent(part: float, whole: float) -> str:
    """A share; a dash of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def query(wanted: Mapping[str, object], **changed: object) -> str:
    """Parameters of an address with some of them changed; None and empty ones are left out."""
    sent = {name: value for name, value in {**wanted, **changed}.items() if value not in (None, "")}
    return f"?{urlencode(sent)}" if sent else "?"


def cookie(visit: Visit, resp: falcon.asgi.Response, name: str, value: str, *, max_age_s: int | None = None) -> None:
    """Set a cookie that scripts cannot read and other sites cannot send; over HTTPS alone, but on this very machine."""
    secure, path = not is_loopback(visit), _path(name)
    resp.set_cookie(name, value, max_age=max_age_s, path=path, secure=secure, http_only=True, same_site="Lax")


def forget(visit: Visit, resp: falcon.asgi.Response, name: str) -> None:
    """Take a cookie back."""
    secure = not is_loopback(visit)
    resp.set_cookie(name, "", expires=_LONG_AGO, path=_path(name), secure=secure, http_only=True, same_site="Lax")


def _path(name: str) -> str:
    """Whom a cookie is for: the console alone, but the admin API takes a session too."""
    return "/" if name == COOKIE else ROOT


def is_loopback(visit: Visit) -> bool:
    """Whether the browser asked for this very machine by plain HTTP, which no network sees."""
    try:
        host = visit.host
    except ValueError:  # a port that is none
        return False
    return visit.forwarded_scheme == "http" and host in {"localhost", "127.0.0.1", "::1"}


def _stamp() -> str:
    """Names the version of our own files, so that browsers keep them until they change."""
    digest = sha256()
    for path in sorted((FOLDER / "static").iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def json_of(value: object) -> str:
    """A value for people to read, in an audit entry or the like."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()
