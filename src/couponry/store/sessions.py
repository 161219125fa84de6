"""People's sessions in the console: made at sign-in, known by a hash of what the browser holds, gone after a while."""

from hashlib import sha256
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, delete, insert, select, update

from couponry.core.browsers import browser_named
from couponry.core.limits import BROWSER_CHARS_MAX, SESSION_IDLE_MS_MAX, SESSION_MS_MAX, SESSION_SEEN_MS, SESSIONS_MAX
from couponry.core.model import Org
from couponry.core.roles import Role
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.registry import org_of_login, read_org

COOKIE: Final = "couponry-session"
"""What a browser keeps the token as."""


class Person(Struct, frozen=True):
    """A person who may sign in. `must_change` their password before anything else; `has_second_factor` to sign in with too."""

    org_id: int
    id: int
    email: str
    role: Role
    password_hash: str
    is_active: bool
    must_change: bool
    has_second_factor: bool


class Session(Struct, frozen=True):
    """Somebody signed in. `is_stale` when it should be noted that they are still there."""

    org: Org
    org_name: str
    person: Person
    token: str
    is_stale: bool


class Place(Struct, frozen=True):
    """Where somebody is signed in. `mark` tells one of a person's sessions from another, and opens none."""

    mark: str
    created_ms: int
    seen_ms: int
    address: str
    browser: str

    @property
    def browser_name(self) -> str:
        """Its browser, as a person knows it."""
        return browser_named(self.browser)


_PERSON: Final = (
    *(t.console_user.c[name] for name in Person.__struct_fields__[:-1]),
    t.second_factor.c.step.is_not(None).label("has_second_factor"),
)
_MARK_BYTES: Final = 8


_HAS_FACTOR: Final = (t.second_factor.c.org_id == t.console_user.c.org_id) & (t.second_factor.c.user_id == t.console_user.c.id)


def people() -> Select[Any]:
    """People."""
    return select(*_PERSON).join_from(t.console_user, t.second_factor, _HAS_FACTOR, isouter=True)


def person_of(tx: ReadTransaction, email: str) -> Person | None:
    """Whose e-mail this is."""
    org_id = org_of_login(tx, "user", email)
    user = t.console_user.c
    rows = tx.rows(people().where(user.org_id == (org_id or 0), user.email == email), {})
    return Person(*rows[0]) if rows else None


def read_person(tx: ReadTransaction, org_id: int, user_id: int) -> Person | None:
    """One person of an org."""
    user = t.console_user.c
    rows = tx.rows(people().where(user.org_id == org_id, user.id == user_id), {})
    return Person(*rows[0]) if rows else None


def begin(tx: WriteTransaction, person: Person, token: str, now_ms: int, *, address: str, browser: str) -> None:
    """Sign somebody in. `token` is `ORG.RANDOM`, and what the browser keeps; sessions that are over are forgotten here.

    Nobody has more than `SESSIONS_MAX`: the longest unseen ends first.
    """
    session = t.console_session.c
    mine = (session.org_id == person.org_id, session.user_id == person.id)
    kept = tx.rows(select(session.token_hash).where(*mine).order_by(session.seen_ms.desc()).limit(SESSIONS_MAX - 1), {})
    is_over = (session.seen_ms < now_ms - SESSION_IDLE_MS_MAX) | (session.created_ms < now_ms - SESSION_MS_MAX)
    is_surplus = session.token_hash.not_in([row.token_hash for row in kept])
    tx.connection.execute(delete(t.console_session).where(*mine, is_over | is_surplus))
    row = {"created_ms": now_ms, "seen_ms": now_ms, "address": address, "browser": browser[:BROWSER_CHARS_MAX]}
    key = {"org_id": person.org_id, "token_hash": _hash(token), "user_id": person.id}
    tx.connection.execute(insert(t.console_session).values(**key, **row))


def read(tx: ReadTransaction, token: str, now_ms: int) -> Session | None:
    """Who is signed in by this token; None for nobody. Three statements, none for what cannot be a token."""
    org_text, dot, _ = token.partition(".")
    if not dot or not org_text.isascii() or not org_text.isdigit() or len(org_text) > len(str(2**31)):
        return None
    session, user, org_id = t.console_session.c, t.console_user.c, int(org_text)
    found = tx.rows(
        select(*_PERSON, session.created_ms, session.seen_ms, t.org.c.name)
        .join_from(t.console_session, t.console_user, (user.org_id == session.org_id) & (user.id == session.user_id))
        .join(t.org, t.org.c.id == session.org_id)
        .outerjoin(t.second_factor, _HAS_FACTOR)
        .where(session.org_id == org_id, session.token_hash == _hash(token)),
        {},
    )
    for *person, created_ms, seen_ms, org_name in found:
        who = Person(*person)
        if not who.is_active or now_ms - created_ms > SESSION_MS_MAX or now_ms - seen_ms > SESSION_IDLE_MS_MAX:
            return None
        org = read_org(tx, org_id)
        return Session(org, org_name, who, token, now_ms - seen_ms > SESSION_SEEN_MS) if isinstance(org, Org) else None
    return None


def seen(tx: WriteTransaction, session: Session, now_ms: int) -> None:
    """Note that somebody is still there."""
    tx.connection.execute(update(t.console_session).where(*_is(session.org.id, session.token)).values(seen_ms=now_ms))


def places(tx: ReadTransaction, org_id: int, user_id: int, now_ms: int) -> list[Place]:
    """Where somebody is signed in, lately seen first."""
    session = t.console_session.c
    wanted = select(session.token_hash, session.created_ms, session.seen_ms, session.address, session.browser).where(
        session.org_id == org_id,
        session.user_id == user_id,
        session.seen_ms >= now_ms - SESSION_IDLE_MS_MAX,
        session.created_ms >= now_ms - SESSION_MS_MAX,
    )
    rows = tx.rows(wanted.order_by(session.seen_ms.desc()).limit(SESSIONS_MAX), {})
    return [Place(_mark(row.token_hash), *row[1:]) for row in rows]


def mark_of(token: str) -> str:
    """The mark of the session that a browser holds the token of."""
    return _mark(_hash(token))


def end(tx: WriteTransaction, org_id: int, token: str) -> None:
    """Sign out."""
    tx.connection.execute(delete(t.console_session).where(*_is(org_id, token)))


def end_marked(tx: WriteTransaction, org_id: int, user_id: int, mark: str) -> bool:
    """End the session of somebody that has this mark; False when there is none."""
    session = t.console_session.c
    mine = (session.org_id == org_id, session.user_id == user_id)
    hashes = [row.token_hash for row in tx.rows(select(session.token_hash).where(*mine), {}) if _mark(row.token_hash) == mark]
    return bool(tx.connection.execute(delete(t.console_session).where(*mine, session.token_hash.in_(hashes))).rowcount)


def end_all(tx: WriteTransaction, org_id: int, user_id: int) -> None:
    """Sign somebody out everywhere."""
    session = t.console_session.c
    tx.connection.execute(delete(t.console_session).where(session.org_id == org_id, session.user_id == user_id))


def _is(org_id: int, token: str) -> tuple[ColumnElement[bool], ...]:
    session = t.console_session.c
    return session.org_id == org_id, session.token_hash == _hash(token)


def _hash(token: str) -> bytes:
    return sha256(token.encode(errors="surrogatepass")).digest()


def _mark(token_hash: bytes) -> str:
    return token_hash[:_MARK_BYTES].hex()
