"""Stores in bulk, with the zones and concepts that they lie in and the tills that stand in them.

A row is a store, or one till of a store: a store with several tills has several rows, and what they say of it is the same.
"""

from collections.abc import Hashable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from zoneinfo import available_timezones

from sqlalchemy import String, Table, select

from couponry.core.limits import IDENTIFIER_CHARS_MAX, NAME_CHARS_MAX, PASSWORD_THREADS
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.store import passwords, serials
from couponry.store import schema as t
from couponry.store.bulk import Cells
from couponry.store.bulk.files import CsvReader
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.registry import till_code_problem
from couponry.store.statements import Row, org_parameter

_YES: Final = frozenset({"", "true", "1", "yes"})
_NO: Final = frozenset({"false", "0", "no"})
_ABOUT: Final = ("storeName", "storeExternalId", "zoneCode", "conceptCode", "timezone")
"""What rows say of a store beside its code, as `_Draft.about` has it."""


@dataclass(slots=True)
class _Draft:
    """A store that is there or is to be made; `till` is the one that the row is about, if any."""

    code: str
    about: tuple[str, ...]
    till: str
    is_active: bool


@dataclass(slots=True)
class _Known:
    """What there is already: stores with what is said of them, and the tills' codes; names that tills of any org sign in with."""

    stores: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tills: set[str] = field(default_factory=set)


class Stores:
    """`storeCode, storeName, storeExternalId, zoneCode, conceptCode, tillCode, tillPassword, timezone, active`.

    `password_hashes` are by till code, made before: each costs more than all the rest of its row. A till without one gets
    `nobodys_hash`, of a secret that nobody knows. `active` is about the till of a row, about the store where a row has no till.
    """

    columns = frozenset({"storeCode", *_ABOUT, "tillCode", "tillPassword", "active"})
    required = frozenset({"storeCode"})
    tables = (t.store, t.till, t.zone, t.concept)

    def __init__(self, org: Org, password_hashes: Mapping[str, str], nobodys_hash: str) -> None:
        self.org, self._hashes, self._nobodys_hash = org, password_hashes, nobodys_hash
        self._zones = available_timezones()
        self._looked_at = _Known()

    def write(self, tx: WriteTransaction, rows: list[Cells], seen: set[Hashable]) -> list[Problem | None]:
        """Make each store and till that is missing. `seen` holds nothing but that a chunk went before, of a dry run."""
        drafts = [self._draft(row) for row in rows]
        sound = [draft for draft in drafts if isinstance(draft, _Draft)]
        known = self._known(tx, sound)
        if seen:
            known.stores |= self._looked_at.stores
            known.tills |= self._looked_at.tills
        self._looked_at = known
        stores: list[_Draft] = []
        tills: list[_Draft] = []
        problems: list[Problem | None] = []
        for draft in drafts:
            problem = draft if isinstance(draft, Problem) else _problem(draft, known)
            problems.append(problem)
            if problem or isinstance(draft, Problem):
                continue
            if draft.code not in known.stores:
                stores.append(draft)
                known.stores[draft.code] = (draft.about[0] or draft.code, *draft.about[1:])
            if draft.till:
                tills.append(draft)
                known.tills.add(draft.till)
        if not seen:
            self._create(tx, stores, tills)
        seen.add(t.store.name)
        return problems

    def _draft(self, row: Cells) -> _Draft | Problem:
        code, till, active = _text(row, "storeCode"), str(row.get("tillCode", "")), _text(row, "active").lower()
        about = tuple(_text(row, name) for name in _ABOUT)
        if not 0 < len(code) <= IDENTIFIER_CHARS_MAX:
            return Problem("invalid", "a store code has 1-255 characters")
        if any(len(text) > NAME_CHARS_MAX for text in about):
            return Problem("invalid", f"one of {', '.join(_ABOUT)} has over {NAME_CHARS_MAX} characters")
        if about[-1] and about[-1] not in self._zones:
            return Problem("invalid", f"unknown time zone {about[-1]}; name one such as Asia/Kolkata")
        if active not in _YES | _NO:
            return Problem("invalid", "active is neither true nor false")
        wrong = till_code_problem(till) if till else None
        return wrong or _Draft(code, about, till, active in _YES)

    def _known(self, tx: ReadTransaction, drafts: Iterable[_Draft]) -> _Known:
        """The stores and tills among these that are there; and the tills' names that any org uses, two orgs cannot have one."""
        store, zone, concept = t.store.c, t.zone.c, t.concept.c
        keys = tx.dialect.keys("wanted", String())
        in_zone = (zone.org_id == store.org_id) & (zone.id == store.zone_id)
        in_concept = (concept.org_id == store.org_id) & (concept.id == store.concept_id)
        source = keys.probing(t.store, "code", index="uq_store_code").outerjoin(t.zone, in_zone).outerjoin(t.concept, in_concept)
        found = select(store.code, store.name, store.external_id, zone.code, concept.code, store.time_zone).select_from(source)
        wanted = keys.bound([(code,) for code in sorted({draft.code for draft in drafts})])
        rows = tx.rows(found, {org_parameter().key: self.org.id, **wanted})
        names = sorted({draft.till for draft in drafts if draft.till})
        taken = select(t.login.c.name).where(t.login.c.kind == "till", t.login.c.name.in_(names))
        return _Known(
            {code: tuple(text or "" for text in about) for code, *about in rows}, {row.name for row in tx.rows(taken, {})}
        )

    def _create(self, tx: WriteTransaction, stores: list[_Draft], tills: list[_Draft]) -> None:
        """Zones and concepts before stores, stores before tills."""
        zones = self._made(tx, t.zone, {draft.about[2] for draft in stores})
        concepts = self._made(tx, t.concept, {draft.about[3] for draft in stores})
        first = self._reserve(tx, len(stores))
        rows: list[Row] = []
        for store_id, draft in enumerate(stores, first):
            name, external_id, zone, concept, time_zone = draft.about
            lies_in = (zones.get(zone), concepts.get(concept))
            is_active = draft.is_active or bool(draft.till)
            rows.append((store_id, draft.code, name or draft.code, external_id or None, *lies_in, time_zone or None, is_active))
        columns = ("id", "code", "name", "external_id", "zone_id", "concept_id", "time_zone", "is_active")
        tx.write(tx.dialect.insert(t.store, columns), self.org.id, rows)
        store_ids = self._ids(tx, t.store, {draft.code for draft in tills})
        first = self._reserve(tx, len(tills))
        tx.write(tx.dialect.insert(t.login, ("kind", "name")), self.org.id, [("till", name) for name in sorted(_names(tills))])
        standing: list[Row] = [
            (till_id, one.till, one.till, store_ids[one.code], self._hashes.get(one.till, self._nobodys_hash), one.is_active)
            for till_id, one in enumerate(tills, first)
        ]
        of_till = ("id", "code", "name", "store_id", "password_hash", "is_active")
        tx.write(tx.dialect.insert(t.till, of_till), self.org.id, standing)

    def _made(self, tx: WriteTransaction, table: Table, codes: set[str]) -> dict[str, int]:
        """The ids of zones or of concepts by their codes; those that are missing are made, named after their codes."""
        known = self._ids(tx, table, codes)
        missing = sorted(codes - known.keys() - {""})
        new = {code: new_id for new_id, code in enumerate(missing, self._reserve(tx, len(missing)))}
        rows = [(new_id, code, code) for code, new_id in new.items()]
        tx.write(tx.dialect.insert(table, ("id", "code", "name")), self.org.id, rows)
        return known | new

    def _ids(self, tx: ReadTransaction, table: Table, codes: Iterable[str]) -> dict[str, int]:
        keys = tx.dialect.keys("wanted", String())
        found = select(table.c.code, table.c.id).select_from(keys.probing(table, "code", index=f"uq_{table.name}_code"))
        wanted = keys.bound([(code,) for code in sorted(codes)])
        return {row.code: int(row.id) for row in tx.rows(found, {org_parameter().key: self.org.id, **wanted})}

    def _reserve(self, tx: WriteTransaction, count: int) -> int:
        return serials.reserve(tx, self.org.id, serials.ENTITY, count) if count else 0


def hashed_passwords(path: Path) -> dict[str, str]:
    """The hashes of the passwords that a file of stores gives its tills, by till code; of two, the first."""
    given: dict[str, str] = {}
    with path.open("rb") as file:
        reader = CsvReader(file)
        for line in reader:
            till, password = str(line.cells.get("tillCode", "")), str(line.cells.get("tillPassword", ""))
            if line.problem is None and till and password:
                given.setdefault(till, password)
    with ThreadPoolExecutor(PASSWORD_THREADS) as pool:
        return dict(zip(given, pool.map(_hashed, given.values()), strict=True))


def _hashed(password: str) -> str:
    return passwords.hashed(passwords.till_secret(password))


def _problem(draft: _Draft, known: _Known) -> Problem | None:
    """What stands in the way of a sound row. What it leaves empty about a store, it does not say."""
    was = known.stores.get(draft.code)
    if was is not None:
        for column, old, new in zip(_ABOUT, was, draft.about, strict=True):
            if new and old != new:
                return Problem("conflict", f"store {draft.code} is there already, with another {column}")
        if not draft.till:
            return Problem("taken", f"store {draft.code} is there already")
    if draft.till in known.tills:
        return Problem("taken", f"the till code {draft.till} is taken; every org of this installation needs others")
    return None


def _names(tills: Iterable[_Draft]) -> set[str]:
    return {draft.till for draft in tills}


def _text(row: Cells, name: str) -> str:
    return str(row.get(name, "")).strip()
