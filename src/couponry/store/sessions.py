"""People's sessions in the console: made at sign-in, known by a hash of what the browser holds, gone after a while."""

from hashlib import sha256
from typing import Final

from msgspec import Struct
from sqlalchemy import ColumnElement, delete, insert, select, update

from couponry.core.limits import SESSION_IDLE_MS_MAX, SESSION_MS_MAX, SESSION_SEEN_MS
from couponry.core.model import Org
from couponry.core.roles import Role
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.registry import org_of_login, read_org


class Person(Struct, frozen=True):
    """A person who may sign in."""

    org_id: int
    id: int
    email: str
    role: Role
    password_hash: str
    is_active: bool


class Session(Struct, frozen=True):
    """Somebody signed in. `is_stale` when it should be noted that they are still there."""

    org: Org
    org_name: str
    person: Person
    token: str
    is_stale: bool


_PERSON: Final = tuple(t.console_user.c[name] for name in ("org_id", "id", "email", "role", "password_hash", "is_active"))


def person_of(tx: ReadTransaction, email: str) -> Person | None:
    """Whose e-mail this is."""
    org_id = org_of_login(tx, "user", email)
    user = t.console_user.c
    rows = tx.rows(select(*_PERSON).where(user.org_id == (org_id or 0), user.email == email), {})
    return Person(*rows[0]) if rows else None


def begin(tx: WriteTransaction, person: Person, token: str, now_ms: int) -> None:
    """Sign somebody in. `token` is `ORG.RANDOM`, and what the browser keeps."""
    row = {"org_id": person.org_id, "token_hash": _hash(token), "user_id": person.id, "created_ms": now_ms, "seen_ms": now_ms}
    tx.connection.execute(insert(t.console_session).values(row))


def read(tx: ReadTransaction, token: str, now_ms: int) -> Session | None:
    """Who is signed in by this token; None for nobody. Three statements, two for a token that is none."""
    org_text, dot, _ = token.partition(".")
    if not dot or not org_text.isascii() or not org_text.isdigit() or len(org_text) > len(str(2**31)):
        return None
    session, user, org_id = t.console_session.c, t.console_user.c, int(org_text)
    found = tx.rows(
        select(*_PERSON, session.created_ms, session.seen_ms, t.org.c.name)
        .join_from(t.console_session, t.console_user, (user.org_id == session.org_id) & (user.id == session.user_id))
        .join(t.org, t.org.c.id == session.org_id)
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


def end(tx: WriteTransaction, org_id: int, token: str) -> None:
    """Sign out."""
    tx.connection.execute(delete(t.console_session).where(*_is(org_id, token)))


def end_all(tx: WriteTransaction, org_id: int, user_id: int) -> None:
    """Sign somebody out everywhere."""
    session = t.console_session.c
    tx.connection.execute(delete(t.console_session).where(session.org_id == org_id, session.user_id == user_id))


def _is(org_id: int, token: str) -> tuple[ColumnElement[bool], ...]:
    session = t.console_session.c
    return session.org_id == org_id, session.token_hash == _hash(token)


def _hash(token: str) -> bytes:
    return sha256(token.encode()).digest()
