"""Series written: made with their first version, and changed by a next one. The API and the import come here alike.

Uniqueness is looked up before and kept by the indexes: who loses a race collides, runs again, and finds the other's series.
"""

from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, Final, cast

import msgspec
from msgspec import Struct
from sqlalchemy import BigInteger, String, delete, insert, select, tuple_, update

from couponry.core import ids
from couponry.core.codes import code_key
from couponry.core.model import Org, Terms
from couponry.core.problem import Problem
from couponry.core.rules.mending import mended
from couponry.core.rules.series import AUDIENCE, changed_terms, code_space_problem, terms_from_wire
from couponry.core.status import Code
from couponry.store import caps, serials
from couponry.store import schema as t
from couponry.store.audiences import Audience, audience_of, members
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.offers import Offered, read_series
from couponry.store.statements import org_parameter

_UNSAVED: Final = "Couldn't save coupon series fields"


_Key = tuple[str, str]
"""A code that one series or one coupon can have: which of the two, and the code's normal form."""


class Draft(Struct, frozen=True):
    """A series that may be made: sound terms, and whom it is restricted to."""

    terms: Terms
    audience: Audience


class Author(Struct, frozen=True):
    """When something is written, and at which till; None for an import."""

    now_ms: int
    till_id: int | None = None


def drafted(fields: Mapping[str, Any], org: Org, now_ms: int, new_code: str, *, keeps_owner: bool = False) -> Draft | Problem:
    """The series that these wire fields ask for."""
    audience = audience_of(fields.get(AUDIENCE))
    if isinstance(audience, Problem):
        return audience
    terms = terms_from_wire({**fields, AUDIENCE: audience}, org.zone, now_ms, new_code=new_code, keeps_owner=keeps_owner)
    if isinstance(terms, Problem):
        return terms
    return code_space_problem(terms, org.settings) or Draft(terms, audience or ())


def create_series(
    tx: WriteTransaction, org_id: int, drafts: Sequence[Draft | Problem], author: Author, seen: set[Hashable]
) -> list[int | Problem]:
    """Make each series whose codes nobody has; its id, or what stands in its way.

    `seen` holds codes that count as taken, and takes those of the new ones.
    """
    sound = [draft for draft in drafts if isinstance(draft, Draft)]
    shared = [draft.terms.generic_code for draft in sound if draft.terms.generic_code]
    taken = _taken(tx, org_id, [draft.terms.series_code for draft in sound], shared) | seen
    known = members(tx, org_id, [name for draft in sound for name in draft.audience])
    told: list[int | Problem] = []
    new: list[tuple[Terms, list[int]]] = []
    for draft in drafts:
        problem = draft if isinstance(draft, Problem) else _problem(draft, taken, known)
        told.append(problem or len(new))
        if problem or isinstance(draft, Problem):
            continue
        keys = _keys(draft.terms)
        taken.update(keys)
        seen.update(keys)
        new.append((draft.terms, sorted({known[name] for name in draft.audience})))
    first = _insert(tx, org_id, new, author) if new else 0
    return [one if isinstance(one, Problem) else first + one for one in told]


def update_series(tx: WriteTransaction, org: Org, series_id: int, fields: Mapping[str, Any], author: Author) -> Offered | Problem:
    """Let a next version follow in which these fields are as sent (v2-coupon 11.2); none when nothing changes.

    Terms that cannot be used are mended by an update that sends what is wrong with them; by any other they stay so (788).

    The series' row stays locked, so that of two updates at once the second follows the first.
    """
    if not _locked(tx, org.id, series_id):
        return Problem(755, "invalid coupon series id")
    broken: list[int] = []
    readable = read_series(tx, org.id, [series_id], unreadable=broken)
    (before,) = readable or read_series(tx, org.id, broken, read=partial(mended, fields=fields))
    audience = audience_of(fields.get(AUDIENCE))
    if isinstance(audience, Problem):
        return audience
    known = members(tx, org.id, audience or ())
    terms = changed_terms(before.series.terms, {**fields, AUDIENCE: audience}, author.now_ms, series_id=series_id)
    problem = (
        terms
        if isinstance(terms, Problem)
        else code_space_problem(terms, org.settings, before.series.terms)
        or _stranger(audience or (), known)
        or _code_problem(tx, before, terms)
    )
    if problem or isinstance(terms, Problem):
        return cast("Problem", problem)
    campaign_id = before.campaign_id
    if fields.get("campaignId") not in (None, ""):
        campaign_id = _campaigns(tx, org.id, [terms]).get(terms.campaign_id)
    terms = _without_campaign(terms, campaign_id)
    if not broken and terms == before.series.terms and campaign_id == before.campaign_id and audience is None:
        return before
    if refused := _recapped(tx, before, terms):
        return refused
    _follow(tx, before, terms, campaign_id, author)
    if audience is not None:
        _restrict(tx, org.id, series_id, sorted({known[name] for name in audience}))
    (after,) = read_series(tx, org.id, [series_id])
    return after


def _locked(tx: WriteTransaction, org_id: int, series_id: int) -> bool:
    """Whether there is such a series, whose row is locked from now on."""
    row = select(t.series.c.id).where(t.series.c.org_id == org_id, t.series.c.id == series_id)
    return bool(tx.rows(tx.dialect.locked(row, t.series), {}))


def _problem(draft: Draft, taken: AbstractSet[Hashable], known: Mapping[int | str, int]) -> Problem | None:
    """What stands in the way of a sound draft."""
    terms = draft.terms
    if ("series", code_key(terms.series_code)) in taken:
        return Problem(Code.SERIES_CODE_TAKEN.number, Code.SERIES_CODE_TAKEN.message)
    if terms.generic_code and ("coupon", code_key(terms.generic_code)) in taken:
        return Problem(744, _UNSAVED, "genericCode is the code of another coupon")
    return _stranger(draft.audience, known)


def _stranger(audience: Audience, known: Mapping[int | str, int]) -> Problem | None:
    unknown = [name for name in audience if name not in known]
    return Problem(744, _UNSAVED, f"{AUDIENCE} names {unknown[0]}, who is no customer") if unknown else None


def _code_problem(tx: WriteTransaction, before: Offered, after: Terms) -> Problem | None:
    """752, and what may not become of a shared code."""
    old = before.series.terms
    codes = [] if _same(old.series_code, after.series_code) else [after.series_code]
    shared = [after.generic_code] if after.generic_code and not _same(old.generic_code, after.generic_code) else []
    taken = _taken(tx, before.org_id, codes, shared)
    if any(kind == "series" for kind, _ in taken):
        return Problem(Code.SERIES_CODE_OF_ANOTHER.number, Code.SERIES_CODE_OF_ANOTHER.message)
    if taken:
        return Problem(744, _UNSAVED, "genericCode is the code of another coupon")
    return Problem(744, _UNSAVED, "genericCode has been issued") if shared and _is_held(tx, before) else None


def _same(one: str | None, other: str | None) -> bool:
    return code_key(one or "") == code_key(other or "")


def _is_held(tx: ReadTransaction, series: Offered) -> bool:
    """Whether any customer has a record of the shared code."""
    coupon = t.coupon.c
    of_series = (coupon.org_id == series.org_id) & (coupon.series_id == series.series.id)
    return bool(tx.rows(select(coupon.id).where(of_series, coupon.holder_id != 0).limit(1), {}))


def _taken(tx: ReadTransaction, org_id: int, series_codes: Sequence[str], shared_codes: Sequence[str]) -> set[_Key]:
    """Which of these codes somebody has."""
    org = {org_parameter().key: org_id}
    keys = tx.dialect.keys("wanted", String())
    series = select(t.series.c.code_key).select_from(keys.probing(t.series, "code_key", index="uq_series_code"))
    coupons = (
        select(t.coupon.c.code_key)
        .select_from(keys.probing(t.coupon, "code_key", index="uq_coupon_code"))
        .where(t.coupon.c.revision == 0)
    )
    of_series = org | keys.bound([(code_key(code),) for code in series_codes])
    of_coupons = org | keys.bound([(code_key(code),) for code in shared_codes])
    return {
        *(("series", row.code_key) for row in tx.rows(series, of_series)),
        *(("coupon", row.code_key) for row in tx.rows(coupons, of_coupons)),
    }


def _keys(terms: Terms) -> list[_Key]:
    shared = [("coupon", code_key(terms.generic_code))] if terms.generic_code else []
    return [("series", code_key(terms.series_code)), *shared]


def _campaigns(tx: ReadTransaction, org_id: int, all_terms: Sequence[Terms]) -> dict[int, int]:
    """Which of the numbers in `campaignId` are campaigns of the org; any other is only echoed."""
    keys = tx.dialect.keys("wanted", BigInteger())
    found = select(t.campaign.c.id).select_from(keys.probing(t.campaign, "id"))
    wanted = keys.bound([(number,) for number in sorted({terms.campaign_id for terms in all_terms if terms.campaign_id > 0})])
    return {row.id: row.id for row in tx.rows(found, {org_parameter().key: org_id, **wanted})}


def _without_campaign(terms: Terms, campaign_id: int | None) -> Terms:
    """A campaign that there is stands in the series' row, where the campaign's own list moves it too; not in the terms."""
    return msgspec.structs.replace(terms, campaign_id=-1) if campaign_id == terms.campaign_id else terms


def _insert(tx: WriteTransaction, org_id: int, new: list[tuple[Terms, list[int]]], author: Author) -> int:
    """Write new series; the first one's id, which the others' follow."""
    first = serials.reserve(tx, org_id, serials.SERIES, len(new))
    campaigns = _campaigns(tx, org_id, [terms for terms, _ in new])
    numbered = [(series_id, terms, audience) for series_id, (terms, audience) in enumerate(new, first)]

    def put(table: Any, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:  # noqa: ANN401 - a sqlalchemy.Table
        tx.write(tx.dialect.insert(table, columns), org_id, rows)

    made = (author.now_ms, author.till_id)
    codes = [(at, code_key(terms.series_code), 1, campaigns.get(terms.campaign_id), *made) for at, terms, _ in numbered]
    put(t.series, ("id", "code_key", "version", "campaign_id", "created_ms", "created_by"), codes)
    versions = [(at, 1, _text(_without_campaign(terms, campaigns.get(terms.campaign_id))), *made) for at, terms, _ in numbered]
    put(t.series_version, ("series_id", "version", "terms", "created_ms", "created_by"), versions)
    limits = [(at, t.CAPPED_STRIPE, terms.max_create, terms.max_redeem) for at, terms, _ in numbered]
    put(t.series_counter, ("series_id", "stripe", "issued_max", "redeemed_max"), limits)
    put(t.series_audience, ("series_id", "customer_id"), [(at, each) for at, _, audience in numbered for each in audience])
    entities = [(*entity, at) for at, terms, _ in numbered for entity in sorted(_entities(terms))]
    put(t.series_entity, ("entity_type", "entity_id", "series_id"), entities)
    shared = [(at, terms.generic_code) for at, terms, _ in numbered if terms.generic_code]
    if shared:
        first_id = ids.first_id(ids.COUPON, org_id, serials.reserve(tx, org_id, serials.COUPON, len(shared)))
        rows = [(at, series_id, code, code_key(code), author.now_ms) for at, (series_id, code) in enumerate(shared, first_id)]
        put(t.coupon, ("id", "series_id", "code", "code_key", "created_ms"), rows)
    return first


def _recapped(tx: WriteTransaction, before: Offered, after: Terms) -> Problem | None:
    """Set the caps that differ; 744 for a `maxCreate` that what is issued has reached."""
    wanted: dict[caps.Counted, tuple[int, int]] = {
        "issued": (before.series.terms.max_create, after.max_create),
        "redeemed": (before.series.terms.max_redeem, after.max_redeem),
    }
    changed = {kind: cap for kind, (old, cap) in wanted.items() if old != cap}
    if not changed:
        return None
    counts = caps.lock_counts(tx, before.org_id, before.series.id)
    if 0 <= changed.get("issued", caps.UNLIMITED) <= counts["issued"]:
        return Problem(744, _UNSAVED, f"maxCreate must exceed the {counts['issued']} coupons that are issued already")
    for kind, cap in changed.items():
        caps.set_cap(tx, before.org_id, before.series.id, kind, cap, counts[kind])
    return None


def _follow(tx: WriteTransaction, before: Offered, terms: Terms, campaign_id: int | None, author: Author) -> None:
    """Append a version, and keep what stands beside it in step."""
    org_id, series, old = before.org_id, before.series, before.series.terms
    version = {"series_id": series.id, "version": series.version + 1, "terms": _text(terms)}
    made = {"created_ms": author.now_ms, "created_by": author.till_id}
    tx.connection.execute(insert(t.series_version).values(org_id=org_id, **version, **made))
    own = update(t.series).where(t.series.c.org_id == org_id, t.series.c.id == series.id)
    code = {} if _same(old.series_code, terms.series_code) else {"code_key": code_key(terms.series_code)}
    tx.connection.execute(own.values(version=series.version + 1, campaign_id=campaign_id, **code))
    _retag(tx, org_id, series.id, _entities(old), _entities(terms))
    if terms.generic_code and not _same(old.generic_code, terms.generic_code):
        _replace_shared_code(tx, before, terms.generic_code, author)


def _retag(tx: WriteTransaction, org_id: int, series_id: int, old: set[tuple[str, int]], new: set[tuple[str, int]]) -> None:
    entity = t.series_entity.c
    keys = tx.dialect.keys("gone", String(), BigInteger())
    gone = tuple_(entity.entity_type, entity.entity_id).in_(select(*keys.columns).select_from(keys.source))
    untag = delete(t.series_entity).where(entity.org_id == org_id, gone, entity.series_id == series_id)
    tx.connection.execute(untag, keys.bound(sorted(old - new)))
    put = tx.dialect.insert(t.series_entity, ("entity_type", "entity_id", "series_id"))
    tx.write(put, org_id, [(*one, series_id) for one in sorted(new - old)])


def _replace_shared_code(tx: WriteTransaction, before: Offered, code: str, author: Author) -> None:
    """Revoke the old code's own row and make the new one's: who is being issued the old code this very moment keeps it."""
    coupon, org_id = t.coupon.c, before.org_id
    old = code_key(before.series.terms.generic_code or "")
    own = (coupon.org_id == org_id, coupon.code_key == old, coupon.holder_id == 0, coupon.revision == 0)
    tx.connection.execute(update(t.coupon).where(*own).values(revoked_ms=author.now_ms, revision=coupon.id))
    coupon_id = ids.first_id(ids.COUPON, org_id, serials.reserve(tx, org_id, serials.COUPON))
    row = {"id": coupon_id, "series_id": before.series.id, "code": code, "code_key": code_key(code)}
    tx.connection.execute(insert(t.coupon).values(org_id=org_id, created_ms=author.now_ms, **row))


def _restrict(tx: WriteTransaction, org_id: int, series_id: int, customers: list[int]) -> None:
    """Replace the audience."""
    member = t.series_audience.c
    tx.connection.execute(delete(t.series_audience).where(member.org_id == org_id, member.series_id == series_id))
    put = tx.dialect.insert(t.series_audience, ("series_id", "customer_id"))
    tx.write(put, org_id, [(series_id, customer_id) for customer_id in customers])


def _entities(terms: Terms) -> set[tuple[str, int]]:
    """The tills, stores, zones and concepts that a series is tagged to."""
    return {(one.redemption_org_entity_type, one.org_entity_id) for one in terms.redemption_org_entity_details}


def _text(terms: Terms) -> str:
    return msgspec.json.encode(terms).decode()
