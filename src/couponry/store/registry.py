"""Who may ask: orgs, the places they sell at, and credentials. A Problem means that nothing was written.

Secrets come in hashed (`store.passwords`), and times and random keys are handed in.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal
from zoneinfo import available_timezones

import msgspec
from msgspec import Struct
from sqlalchemy import Table, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from couponry.core.currency import CURRENCIES
from couponry.core.identifiers import is_email
from couponry.core.limits import IDENTIFIER_CHARS_MAX
from couponry.core.model import Org
from couponry.core.org_settings import OrgSettings, settings_problem
from couponry.core.problem import Problem
from couponry.core.roles import ROLES
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.rows import LABEL_COLUMNS, ORG_COLUMNS, org_from_rows

LoginKind = Literal["till", "client", "user"]

_DIALLING_CODE: Final = re.compile(r"[1-9][0-9]{0,3}")
# A till code is the user name of Basic authentication, which ends at the first colon.
_TILL_CODE: Final = re.compile(r"[^:\x00-\x1f\x7f]+")


class TillPlace(Struct, frozen=True, rename="camel"):
    """A new till and what it hangs from."""

    till_id: int
    store_id: int
    zone_id: int | None
    concept_id: int | None


def create_org(
    tx: WriteTransaction, *, name: str, time_zone: str, currency: str, country_code: str, now_ms: int
) -> int | Problem:
    """A new tenant with its status labels (rules 11)."""
    if not name.strip():
        return Problem("invalid", "the name is empty")
    if time_zone not in available_timezones():
        return Problem("invalid", f"unknown time zone {time_zone}; name one such as Asia/Kolkata")
    if currency not in CURRENCIES:
        return Problem("invalid", f"unknown currency {currency}; name one such as INR")
    if not _DIALLING_CODE.fullmatch(country_code):
        return Problem("invalid", f"invalid country code {country_code}; give the dialling code's digits, such as 91")
    org_id = serials.reserve(tx, serials.NO_ORG, serials.ORG)
    row = {"name": name.strip(), "time_zone": time_zone, "currency": currency, "country_code": country_code}
    tx.connection.execute(insert(t.org).values(id=org_id, settings="{}", version=1, created_ms=now_ms, **row))
    for label, is_blocked in (("ACTIVE", False), ("SUSPENDED", True)):
        _add_status_label(tx, org_id, label, blocks_issue=is_blocked, blocks_redemption=is_blocked)
    return org_id


def org_ids(tx: ReadTransaction) -> list[int]:
    """All orgs of the installation, for whoever works for each of them in turn."""
    return [org_id for (org_id,) in tx.rows(select(t.org.c.id).order_by(t.org.c.id), {})]


def org_exists(tx: ReadTransaction, org_id: int) -> bool:
    """Whether there is such a tenant."""
    return bool(tx.rows(select(t.org.c.id).where(t.org.c.id == org_id), {}))


def read_org(tx: ReadTransaction, org_id: int) -> Org | Problem:
    """The tenant as rules see it."""
    rows = tx.rows(select(*ORG_COLUMNS).where(t.org.c.id == org_id), {})
    labels = tx.rows(select(*LABEL_COLUMNS).where(t.status_label.c.org_id == org_id), {})
    if not rows:
        return _unknown_org(org_id)
    return org_from_rows(rows[0], labels) or Problem(
        "misconfigured", f"the time zone, currency or settings of org {org_id} are unusable"
    )


def status_labels(tx: ReadTransaction, org_id: int) -> frozenset[str]:
    """The names of the org's customer statuses."""
    return frozenset(row.label for row in tx.rows(select(t.status_label.c.label).where(t.status_label.c.org_id == org_id), {}))


def read_settings(tx: ReadTransaction, org_id: int) -> OrgSettings | Problem:
    """What the org decided for itself."""
    for (text,) in tx.rows(select(t.org.c.settings).where(t.org.c.id == org_id), {}):
        return msgspec.json.decode(text, type=OrgSettings)
    return _unknown_org(org_id)


def change_settings(tx: WriteTransaction, org_id: int, changes: Mapping[str, str]) -> OrgSettings | Problem:
    """Set org settings by name from text; an empty text sets the default again. Servers see the org's new version."""
    before = read_settings(tx, org_id)
    if isinstance(before, Problem):
        return before
    values: dict[str, Any] = msgspec.to_builtins(before)
    for name, text in changes.items():
        values.pop(name, None)
        if text:
            values[name] = _value(name, text)
        elif name not in _setting_names():
            return Problem("invalid", f"there is no org setting {name}")
    try:
        after = msgspec.convert(values, OrgSettings, strict=False)
    except msgspec.ValidationError as error:
        return Problem("invalid", str(error))
    if wrong := settings_problem(after):
        return Problem("invalid", wrong)
    changed = {"settings": msgspec.json.encode(after).decode(), "version": t.org.c.version + 1}
    tx.connection.execute(update(t.org).where(t.org.c.id == org_id).values(changed))
    return after


def create_status_label(tx: WriteTransaction, org_id: int, label: str, *, blocks_issue: bool, blocks_redemption: bool) -> None:
    """A customer status of the org and what it blocks (rules 11). The org's new version makes running servers see it."""
    _add_status_label(tx, org_id, label, blocks_issue=blocks_issue, blocks_redemption=blocks_redemption)
    tx.connection.execute(update(t.org).where(t.org.c.id == org_id).values(version=t.org.c.version + 1))


def _add_status_label(tx: WriteTransaction, org_id: int, label: str, *, blocks_issue: bool, blocks_redemption: bool) -> None:
    blocks = {"blocks_issue": blocks_issue, "blocks_redemption": blocks_redemption}
    tx.connection.execute(insert(t.status_label).values(org_id=org_id, label=label, **blocks))


def create_access_group(tx: WriteTransaction, org_id: int, *, name: str, data_access: str, config_access: str) -> int:
    """What stores or clients of this group may do with coupons, and with their configuration (contract README 2.4)."""
    return _add(tx, t.access_group, org_id, name=name, data_access=data_access, config_access=config_access)


def create_zone(tx: WriteTransaction, org_id: int, code: str, parent_id: int | None = None) -> int:
    """A zone, named after its code, perhaps inside another."""
    return _add(tx, t.zone, org_id, code=code, name=code, parent_id=parent_id)


def create_concept(tx: WriteTransaction, org_id: int, code: str, parent_id: int | None = None) -> int:
    """A concept, named after its code, perhaps inside another."""
    return _add(tx, t.concept, org_id, code=code, name=code, parent_id=parent_id)


def create_store(tx: WriteTransaction, org_id: int, code: str, **more: object) -> int:
    """A store, named after its code; `more` sets other columns."""
    return _add(tx, t.store, org_id, **{"code": code, "name": code, "is_active": True, **more})


def create_till(
    tx: WriteTransaction,
    org_id: int,
    *,
    code: str,
    password_hash: str,
    store: str | None = None,
    zone: str | None = None,
    concept: str | None = None,
) -> TillPlace | Problem:
    """A till that may log in, in the store of that code (else its own); store, zone and concept are made if missing."""
    if not org_exists(tx, org_id):
        return _unknown_org(org_id)
    if wrong := till_code_problem(code):
        return wrong
    store = store or code
    known = tx.rows(
        select(t.store.c.id, t.store.c.zone_id, t.store.c.concept_id).where(t.store.c.org_id == org_id, t.store.c.code == store),
        {},
    )
    zone_id, concept_id = _id_of(tx, t.zone, org_id, zone), _id_of(tx, t.concept, org_id, concept)
    if known and ((zone and zone_id != known[0].zone_id) or (concept and concept_id != known[0].concept_id)):
        return Problem("conflict", f"store {store} exists already in another zone or concept")
    if taken := _take_login(tx, "till", code, org_id):
        return taken
    if known:
        store_id, zone_id, concept_id = known[0]
    else:
        zone_id = zone_id or (create_zone(tx, org_id, zone) if zone else None)
        concept_id = concept_id or (create_concept(tx, org_id, concept) if concept else None)
        store_id = create_store(tx, org_id, store, zone_id=zone_id, concept_id=concept_id)
    till_id = _add(tx, t.till, org_id, code=code, name=code, store_id=store_id, password_hash=password_hash, is_active=True)
    return TillPlace(till_id, store_id, zone_id, concept_id)


def till_code_problem(code: str) -> Problem | None:
    """Why a till cannot have this code: it is the user name that the till signs in with."""
    if _TILL_CODE.fullmatch(code) and code == code.strip() and len(code) <= IDENTIFIER_CHARS_MAX:
        return None
    return Problem("invalid", "a till code has 1-255 characters, no colon, no surrounding blanks")


def create_client(
    tx: WriteTransaction,
    org_id: int,
    *,
    name: str,
    key: str,
    secret_hash: str,
    till: str | None = None,
    is_admin: bool = False,
    token_ttl_s: int = 3600,
    falls_back_to_till: bool = False,
    access_group_id: int | None = None,
) -> int | Problem:
    """An OAuth client, which acts for the till of that code unless a request names another."""
    if not org_exists(tx, org_id):
        return _unknown_org(org_id)
    till_id = _id_of(tx, t.till, org_id, till)
    if till and till_id is None:
        return Problem("unknown", f"org {org_id} has no till {till}")
    if taken := _take_login(tx, "client", key, org_id):
        return taken
    return _add(
        tx,
        t.client,
        org_id,
        key=key,
        name=name,
        secret_hash=secret_hash,
        till_id=till_id,
        is_admin=is_admin,
        token_ttl_s=token_ttl_s,
        falls_back_to_till=falls_back_to_till,
        access_group_id=access_group_id,
        is_active=True,
    )


def create_user(tx: WriteTransaction, org_id: int, *, email: str, password_hash: str, role: str) -> int | Problem:
    """A person who may use the console."""
    email = email.strip().lower()
    if not org_exists(tx, org_id):
        return _unknown_org(org_id)
    if not is_email(email):
        return Problem("invalid", "that is no e-mail address")
    if role not in ROLES:
        return Problem("invalid", f"a role is one of {', '.join(ROLES)}")
    if taken := _take_login(tx, "user", email, org_id):
        return taken
    return _add(tx, t.console_user, org_id, email=email, password_hash=password_hash, role=role, is_active=True)


def org_of_login(tx: ReadTransaction, kind: LoginKind, name: str) -> int | None:
    """The org whose till code, client key or user e-mail this is."""
    found = tx.rows(select(t.login.c.org_id).where(t.login.c.kind == kind, t.login.c.name == name), {})
    return int(found[0].org_id) if found else None


def _take_login(tx: WriteTransaction, kind: LoginKind, name: str, org_id: int) -> Problem | None:
    """A login names one org, so that a till needs to send nothing but its code; two orgs cannot have the same."""
    make = postgresql.insert if tx.connection.dialect.name == "postgresql" else sqlite.insert
    taking = make(t.login).values(kind=kind, name=name, org_id=org_id).on_conflict_do_nothing().returning(t.login.c.org_id)
    if tx.connection.execute(taking).first():
        return None
    what = {"till": "till code", "client": "client key", "user": "e-mail"}[kind]
    return Problem("taken", f"the {what} {name} is taken; every org of this installation needs others")


def _add(tx: WriteTransaction, table: Table, org_id: int, **values: object) -> int:
    new_id = serials.reserve(tx, org_id, serials.ENTITY)
    tx.connection.execute(insert(table).values(org_id=org_id, id=new_id, **values))
    return new_id


def _id_of(tx: ReadTransaction, table: Table, org_id: int, code: str | None) -> int | None:
    found = tx.rows(select(table.c.id).where(table.c.org_id == org_id, table.c.code == code), {}) if code else []
    return int(found[0].id) if found else None


def _unknown_org(org_id: int) -> Problem:
    return Problem("unknown", f"there is no org {org_id}")


def _setting_names() -> frozenset[str]:
    return frozenset(field.encode_name for field in msgspec.structs.fields(OrgSettings))


def _value(name: str, text: str) -> object:
    """Text as the setting's type wants it: a comma list for what is several, else what msgspec reads from text."""
    is_list = name in {"blockingFraudStatuses", "contactEmails"}
    return [part.strip() for part in text.split(",") if part.strip()] if is_list else text
