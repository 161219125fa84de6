"""The people of an org: who they are, what they may do, and what they sign in with. A Problem means that nothing was written.

An org is never without an active admin: whoever takes one away locks all of them first, so that two cannot each take the other.
"""

from typing import Final

import msgspec
from sqlalchemy import delete, insert, select, update

from couponry.core import totp
from couponry.core.limits import SECOND_FACTOR_TRIES_MAX, SECOND_FACTOR_WINDOW_MS, SERIAL_BITS
from couponry.core.problem import Problem
from couponry.core.roles import ROLES
from couponry.core.validation import Vault
from couponry.store import audit, registry, sessions, tallies
from couponry.store import schema as t
from couponry.store.audit import Actor
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.sessions import Person

_LAST_ADMIN: Final = Problem("conflict", "this is the last active admin; make somebody else an admin first")
_UNKNOWN: Final = Problem("unknown", "there is no such person")


def listed(tx: ReadTransaction, org_id: int, *, limit: int, before_id: int | None = None) -> list[Person]:
    """The people of an org, newest first."""
    user = t.console_user.c
    wanted = sessions.people().where(user.org_id == org_id)
    if before_id is not None:
        wanted = wanted.where(user.id < before_id)
    return [Person(*row) for row in tx.rows(wanted.order_by(user.id.desc()).limit(limit), {})]


def create(tx: WriteTransaction, actor: Actor, *, email: str, role: str, password_hash: str) -> int | Problem:
    """A new person, who has to choose another password than the one that they are given."""
    made = registry.create_user(tx, actor.org_id, email=email, password_hash=password_hash, role=role)
    if isinstance(made, Problem):
        return made
    _change(tx, actor.org_id, made, must_change=True)
    audit.record(tx, actor, "create person", ("user", made), after={"email": email.strip().lower(), "role": role})
    return made


def change_role(tx: WriteTransaction, actor: Actor, user_id: int, role: str) -> Person | Problem:
    """What somebody may do from now on; they have to sign in again."""
    if role not in ROLES:
        return Problem("invalid", f"a role is one of {', '.join(ROLES)}")
    before = _locked(tx, actor.org_id, user_id, takes_admin=role != "admin")
    if isinstance(before, Problem) or before.role == role:
        return before
    _change(tx, actor.org_id, user_id, role=role)
    sessions.end_all(tx, actor.org_id, user_id)
    audit.record(tx, actor, "change role", ("user", user_id), before={"role": before.role}, after={"role": role})
    return before


def change_active(tx: WriteTransaction, actor: Actor, user_id: int, *, is_active: bool) -> Person | Problem:
    """Whether somebody may sign in; whoever may not is signed out at once."""
    before = _locked(tx, actor.org_id, user_id, takes_admin=not is_active)
    if isinstance(before, Problem) or before.is_active == is_active:
        return before
    _change(tx, actor.org_id, user_id, is_active=is_active)
    sessions.end_all(tx, actor.org_id, user_id)
    what = "activate person" if is_active else "deactivate person"
    audit.record(tx, actor, what, ("user", user_id), before={"active": before.is_active}, after={"active": is_active})
    return before


def set_password(tx: WriteTransaction, actor: Actor, user_id: int, password_hash: str, *, must_change: bool) -> Person | Problem:
    """A new password; somebody else's has to be changed at once. All sessions end."""
    before = _locked(tx, actor.org_id, user_id)
    if isinstance(before, Problem):
        return before
    _change(tx, actor.org_id, user_id, password_hash=password_hash, must_change=must_change)
    sessions.end_all(tx, actor.org_id, user_id)
    audit.record(tx, actor, "give a new password" if must_change else "change password", ("user", user_id))
    return before


def offer_second_factor(tx: WriteTransaction, actor: Actor, user_id: int, vault: Vault, secret: bytes) -> Problem | None:
    """Note the secret that somebody's app is to share; it counts once they show a code of it."""
    before = _locked(tx, actor.org_id, user_id)
    if isinstance(before, Problem):
        return before
    if before.has_second_factor:
        return Problem("conflict", "the second factor is set up already")
    _forget_factor(tx, actor.org_id, user_id)
    sealed = vault.seal(actor.org_id, _seal_id(user_id), secret.hex())
    values = {"org_id": actor.org_id, "user_id": user_id, "sealed": sealed, "recovery": "[]"}
    tx.connection.execute(insert(t.second_factor).values(values))
    audit.record(tx, actor, "set up second factor", ("user", user_id))
    return None


def offered_secret(tx: ReadTransaction, org_id: int, user_id: int, vault: Vault) -> bytes | None:
    """The secret that waits for a first code; None when none does."""
    factor = t.second_factor.c
    rows = tx.rows(select(factor.sealed, factor.step).where(factor.org_id == org_id, factor.user_id == user_id), {})
    if not rows or rows[0].step is not None:
        return None
    return _opened(vault, org_id, user_id, rows[0].sealed)


def confirm_second_factor(
    tx: WriteTransaction, actor: Actor, user_id: int, vault: Vault, code: str, recovery: tuple[str, ...]
) -> Problem | None:
    """The first code of an app: from now on the person signs in with one, or with a recovery code."""
    secret = offered_secret(tx, actor.org_id, user_id, vault) if _lock_factor(tx, actor.org_id, user_id) else None
    if secret is None:
        return Problem("conflict", "start again: there is no second factor to confirm")
    if not _may_try(tx, actor, user_id):
        return Problem("throttled", "too many wrong codes; try again in a quarter of an hour")
    step = totp.step_of(secret, code, actor.now_ms, -1)
    if step is None:
        return Problem("invalid", "that is not the code that the app shows now")
    _change_factor(tx, actor.org_id, user_id, step=step, recovery=_hashes(user_id, recovery))
    audit.record(tx, actor, "turn on second factor", ("user", user_id))
    return None


def replace_recovery_codes(tx: WriteTransaction, actor: Actor, user_id: int, recovery: tuple[str, ...]) -> Problem | None:
    """New codes for a lost phone; the old ones count no more."""
    before = _locked(tx, actor.org_id, user_id)
    if isinstance(before, Problem) or not before.has_second_factor:
        return Problem("conflict", "there is no second factor")
    _change_factor(tx, actor.org_id, user_id, recovery=_hashes(user_id, recovery))
    audit.record(tx, actor, "make recovery codes", ("user", user_id))
    return None


def remove_second_factor(tx: WriteTransaction, actor: Actor, user_id: int) -> Person | Problem:
    """From now on the password is enough."""
    before = _locked(tx, actor.org_id, user_id)
    if isinstance(before, Problem):
        return before
    _forget_factor(tx, actor.org_id, user_id)
    audit.record(tx, actor, "turn off second factor", ("user", user_id), before={"on": before.has_second_factor})
    return before


def recovery_codes_left(tx: ReadTransaction, org_id: int, user_id: int) -> int:
    """How many recovery codes somebody has left."""
    factor = t.second_factor.c
    rows = tx.rows(select(factor.recovery).where(factor.org_id == org_id, factor.user_id == user_id), {})
    return len(msgspec.json.decode(rows[0].recovery, type=list[str])) if rows else 0


def accept_second_factor(tx: WriteTransaction, actor: Actor, user_id: int, vault: Vault, code: str) -> bool:
    """Whether a code of the app, or a recovery code, is right; each counts once. Tries are counted, and at last refused."""
    if not _may_try(tx, actor, user_id) or not _lock_factor(tx, actor.org_id, user_id):
        return False
    factor = t.second_factor.c
    wanted = select(factor.sealed, factor.step, factor.recovery)
    ((sealed, last_step, recovery),) = tx.rows(wanted.where(factor.org_id == actor.org_id, factor.user_id == user_id), {})
    secret = _opened(vault, actor.org_id, user_id, sealed)
    step = totp.step_of(secret, code, actor.now_ms, last_step) if secret and last_step is not None else None
    if step is not None:
        _change_factor(tx, actor.org_id, user_id, step=step)
        return True
    left, sent = msgspec.json.decode(recovery, type=list[str]), totp.recovery_hash(user_id, code)
    if last_step is None or sent not in left:
        return False
    left.remove(sent)
    _change_factor(tx, actor.org_id, user_id, recovery=msgspec.json.encode(left).decode())
    return True


def _may_try(tx: WriteTransaction, actor: Actor, user_id: int) -> bool:
    since_ms = actor.now_ms - actor.now_ms % SECOND_FACTOR_WINDOW_MS
    return tallies.count(tx, (actor.org_id, user_id), "second factor", since_ms, SECOND_FACTOR_TRIES_MAX)


def _locked(tx: WriteTransaction, org_id: int, user_id: int, *, takes_admin: bool = False) -> Person | Problem:
    """The person as they are, while nobody else changes them; a Problem if they are the last admin and are not to be one.

    All active admins are locked, in one order. Whoever waited sees those that are left: PostgreSQL looks again at each row.
    """
    user = t.console_user.c
    if takes_admin:
        admins = select(user.id).where(user.org_id == org_id, user.role == "admin", user.is_active).order_by(user.id)
        if {row.id for row in tx.rows(tx.dialect.locked(admins, t.console_user), {})} == {user_id}:
            return _LAST_ADMIN
    one = select(user.id).where(user.org_id == org_id, user.id == user_id)
    tx.rows(tx.dialect.locked(one, t.console_user), {})
    return sessions.read_person(tx, org_id, user_id) or _UNKNOWN


def _change(tx: WriteTransaction, org_id: int, user_id: int, **values: object) -> None:
    user = t.console_user.c
    tx.connection.execute(update(t.console_user).where(user.org_id == org_id, user.id == user_id).values(values))


def _lock_factor(tx: WriteTransaction, org_id: int, user_id: int) -> bool:
    factor = t.second_factor.c
    one = select(factor.user_id).where(factor.org_id == org_id, factor.user_id == user_id)
    return bool(tx.rows(tx.dialect.locked(one, t.second_factor), {}))


def _change_factor(tx: WriteTransaction, org_id: int, user_id: int, **values: object) -> None:
    factor = t.second_factor.c
    tx.connection.execute(update(t.second_factor).where(factor.org_id == org_id, factor.user_id == user_id).values(values))


def _forget_factor(tx: WriteTransaction, org_id: int, user_id: int) -> None:
    factor = t.second_factor.c
    tx.connection.execute(delete(t.second_factor).where(factor.org_id == org_id, factor.user_id == user_id))


def _hashes(user_id: int, recovery: tuple[str, ...]) -> str:
    return msgspec.json.encode([totp.recovery_hash(user_id, code) for code in recovery]).decode()


def _opened(vault: Vault, org_id: int, user_id: int, sealed: bytes) -> bytes | None:
    text = vault.open(org_id, _seal_id(user_id), sealed)
    return None if text is None else bytes.fromhex(text)


def _seal_id(user_id: int) -> int:
    """The vault tells rows apart by number; those of validation codes are positive, those of webhooks above -2**32."""
    return -(1 << SERIAL_BITS) - user_id
