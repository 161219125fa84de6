"""Terms of a series, version by version: what changed, who changed it, and the terms changed once more."""

from collections.abc import Mapping
from typing import Any

import falcon.asgi
from msgspec import Struct

from couponry.console.campaigns.changing import SUBJECT, change
from couponry.console.campaigns.terms_fields import fields_of_terms, form_data, place_problem
from couponry.console.campaigns.terms_form import TermsForm, form_of
from couponry.console.campaigns.terms_step import checked_fields, placed_of, said
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core.limits import VERSIONS_SHOWN
from couponry.core.problem import Problem
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.core.terms_words import Difference, Names, differences, sentences
from couponry.store import audit
from couponry.store.audit import Entry
from couponry.store.campaign_reads import Version, versions
from couponry.store.engine import ReadTransaction
from couponry.store.offers import Offered, read_series
from couponry.store.place_names import codes_and_names, names_of, places_of


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The versions, and the form for the next one."""
    return {"/series/{number}/versions": Versions(parts, pages), "/series/{number}/terms": Terms(parts, pages)}


class Change(Struct, frozen=True):
    """One version, by whom, and what it says differently from the one before; all it says where none is to compare with."""

    version: Version
    by: str
    differences: list[Difference] | None
    sentences: list[str]


class Seen(Struct, frozen=True):
    """A series with the versions of a page, the newest first."""

    offered: Offered
    changes: list[Change]
    older: int | None


class Versions:
    """All versions, the newest first."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CAMPAIGNS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """A page of them."""
        seen = await self._parts.back_office.read(lambda tx: _seen(tx, visit, number_of(number)))
        if isinstance(seen, Code):
            self._pages.failed(visit, resp, seen)
        elif seen is None:
            self._pages.missing(visit, resp, "series")
        else:
            self._pages.show(visit, resp, "campaigns/versions.html", seen=seen)


class Known(Struct, frozen=True):
    """A series, and its places in words."""

    offered: Offered
    codes: Mapping[tuple[str, int], str]
    names: Names
    placed: Mapping[tuple[str, str], int]


class Terms:
    """The form of a series' terms."""

    NEEDS = NEEDS_TO_POST = Permission.MAKE_CAMPAIGNS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """The terms as they are."""
        known = await self._known(visit, resp, number, TermsForm())
        if known:
            form = form_of(form_data(fields_of_terms(known.offered.series.terms), known.codes))
            self._show(visit, resp, known, form)

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Let a next version follow, as the API does."""
        form = TermsForm(visit.form)
        known = await self._known(visit, resp, number, form)
        if not known:
            return
        series = known.offered.series
        fields = checked_fields(form, {}, known.placed)
        if fields is None or visit.form.text("version") != str(series.version):
            why = "Some of the fields need another look." if fields is None else "Somebody changed the terms meanwhile."
            self._show(visit, resp, known, form, why, 422)
            return
        org, actor = visit.session.org, visit.actor()
        done = await self._parts.back_office.write(lambda tx: change(tx, org, actor, known.offered, _whole(fields)))
        if isinstance(done, Code):
            self._pages.failed(visit, resp, done)
        elif isinstance(done, Problem):
            self._show(visit, resp, known, form, place_problem(form, done), 422)
        else:
            self._pages.go(visit, resp, f"/series/{series.id}/versions", _notice(series.version, done))

    async def _known(self, visit: Visit, resp: falcon.asgi.Response, number: str, form: TermsForm) -> Known | None:
        def read(tx: ReadTransaction) -> Known | None:
            found = read_series(tx, visit.org_id, [number_of(number) or 0], unreadable=[])
            if not found:
                return None
            places = places_of(found[0].series.terms)
            return Known(found[0], *codes_and_names(tx, visit.org_id, places), placed_of(tx, visit.org_id, form))

        known = await self._parts.back_office.read(read)
        if isinstance(known, Code):
            self._pages.failed(visit, resp, known)
        elif known is None:
            self._pages.missing(visit, resp, "series")
        else:
            return known
        return None

    def _show(
        self, visit: Visit, resp: falcon.asgi.Response, known: Known, form: TermsForm, problem: str = "", status: int = 200
    ) -> None:
        words = said(known.offered.series.terms, visit.session.org, known.names)
        context: dict[str, Any] = {"known": known, "form": form, "said": words, "problem": problem}
        self._pages.show(visit, resp, "campaigns/series_terms.html", status=status, **context)


def _notice(before: int, done: Offered | int) -> str:
    if isinstance(done, int):
        return f"These terms may cost more: a second person has to approve them. They wait as approval {done}."
    version = done.series.version
    return f"This is version {version} now." if version != before else "Nothing was different, so nothing was changed."


def _whole(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the form leaves out is unset, or set to what it means when left out."""
    unset = {
        "discountUpto": 0,
        "minBillAmount": 0,
        "maxBillAmount": -1,
        "redemptionValidFrom": "1970-01-01",
        "redemptionValidAfterDays": 0,
        "redemptionRange": '{"dom":[-1],"dow":[-1],"hours":[-1]}',
        "mutualExclusiveSeriesIds": "[-1]",
        "redemptionOrgEntityDetails": None,
        "couponPrefix": None,
        "couponSuffix": None,
        "issueLimitThreshold": None,
        "redemptionPerCouponMaxLimit": None,
    }
    return {**unset, **fields}


def _seen(tx: ReadTransaction, visit: Visit, series_id: int | None) -> Seen | None:
    """Eight statements at most."""
    offered = read_series(tx, visit.org_id, [series_id or 0], unreadable=[])
    if not offered:
        return None
    of = offered[0].series.id
    found = versions(tx, visit.org_id, of, limit=VERSIONS_SHOWN + 1, below=visit.number("before"))
    entries = audit.entries(tx, visit.org_id, limit=10 * VERSIONS_SHOWN, subject=(SUBJECT, str(of)))
    named = {place for each in found if each.terms for place in places_of(each.terms)}
    names, by = names_of(tx, visit.org_id, named), _by_version(entries)
    currency = visit.session.org.currency
    changes = []
    for each, before in zip(found, [*found[1:], None], strict=True):
        is_told = before is not None and before.terms is not None and each.terms is not None
        told = differences(before.terms, each.terms, currency, names) if is_told else None  # type: ignore[union-attr,arg-type] # looked at above
        words = sentences(each.terms, currency, names) if each.terms and told is None else []
        changes.append(Change(each, by.get(each.version, ""), told, words))
    shown = changes[:VERSIONS_SHOWN]
    return Seen(offered[0], shown, shown[-1].version.version if len(found) > VERSIONS_SHOWN else None)


def _by_version(entries: list[Entry]) -> dict[int, str]:
    """Who made which version, where it was made in the console."""
    return {entry.after["version"]: entry.actor for entry in reversed(entries) if entry.after and "version" in entry.after}
