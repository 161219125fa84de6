"""Step 2: the series' terms, new ones or those of a series that there is, with what they say in plain words."""

from collections.abc import Mapping
from typing import Any, Final

import falcon.asgi
from msgspec import Struct
from msgspec.structs import replace

from couponry.console.campaigns.flow import StepPage
from couponry.console.campaigns.terms_fields import Placed, check_places, form_data, place_problem, typed_codes, wire_fields
from couponry.console.campaigns.terms_form import TermsForm, form_of
from couponry.console.gate import Resource
from couponry.console.pages import HTML, Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core.limits import CAMPAIGN_SERIES_SHOWN
from couponry.core.message_samples import sample_code
from couponry.core.model import Org, Terms
from couponry.core.problem import Problem
from couponry.core.rules.series import code_space_warning
from couponry.core.terms_words import NO_NAMES, Names, in_labels, sentences
from couponry.store.campaign_reads import free_series, series_by_code
from couponry.store.drafts import Draft
from couponry.store.engine import ReadTransaction
from couponry.store.offering import drafted
from couponry.store.offers import Offered, read_series
from couponry.store.place_names import Place, by_codes, codes_and_names, places_of

_ENTITIES: Final = "redemptionOrgEntityDetails"
_LOOK_AGAIN: Final = "Some of the fields need another look."


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The step, its preview, and the choice of a series that there is."""
    at = "/campaigns/drafts/{draft}/terms"
    return {
        at: TermsStep(parts, pages),
        f"{at}/preview": TermsPreview(parts, pages),
        f"{at}/series": SeriesChoice(parts, pages),
    }


class Known(Struct, frozen=True):
    """What the step reads beside the draft."""

    offered: Offered | None
    free: list[tuple[int, str]]
    codes: Mapping[Place, str]
    names: Names


class Said(Struct, frozen=True):
    """Terms in words: sentences, a sample of a code, and a remark on how easily codes are guessed."""

    sentences: list[str]
    code: str
    remark: str = ""


def said(terms: Terms, org: Org, names: Names = NO_NAMES) -> Said:
    """What terms say."""
    warning = code_space_warning(terms, org.settings, 0) or ""
    return Said(sentences(terms, org.currency, names), sample_code(terms, org.settings), in_labels(warning))


class TermsStep(StepPage):
    """The step."""

    STEP = "terms"

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """What was filled in."""
        if found := await self.opened(visit, resp, draft, _known):
            one, known = found
            self._show(visit, resp, one, known, form_of(form_data(fields_of(one, visit), known.codes)))

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """Judge the terms as the API does, and keep them."""
        form = TermsForm(visit.form)
        found = await self.opened(visit, resp, draft, lambda tx, one: (_known(tx, one), placed_of(tx, visit.org_id, form)))
        if not found:
            return
        one, (known, placed) = found
        judged = judge(form, fields_of(one, visit), placed, visit)
        if isinstance(judged, str):
            self._show(visit, resp, one, known, form, problem=judged, status=422)
            return
        fields = {"seriesCode": self._parts.new_code(), **judged[0]}
        await self.save(visit, resp, one, replace(one.content, series_id=None, fields=fields))

    def _show(
        self,
        visit: Visit,
        resp: falcon.asgi.Response,
        draft: Draft,
        known: Known,
        form: TermsForm,
        **context: Any,  # noqa: ANN401 - whatever the template names
    ) -> None:
        org = visit.session.org
        words: Said | None
        if known.offered:
            words = said(known.offered.series.terms, org, known.names)
        else:
            terms = drafted(draft.content.fields, org, visit.now_ms, "NEW") if draft.content.fields else None
            words = said(terms.terms, org, known.names) if terms and not isinstance(terms, Problem) else None
        self.show(visit, resp, draft, "campaigns/terms.html", known=known, form=form, said=words, **{"problem": "", **context})


class TermsPreview(StepPage):
    """What the form says while one fills it in."""

    STEP = "terms"

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """A part of a page."""
        form = TermsForm(visit.form)
        found = await self.opened(visit, resp, draft, lambda tx, _: placed_of(tx, visit.org_id, form))
        if not found:
            return
        one, placed = found
        judged = judge(form, fields_of(one, visit), placed, visit)
        names = {(kind, number): code for (kind, code), number in placed.items()}
        words = None if isinstance(judged, str) else said(judged[1], visit.session.org, names)
        problem = judged if isinstance(judged, str) else ""
        wrong = [f"{form[name].label.text}: {' '.join(map(str, errors))}" for name, errors in form.errors.items() if name]
        resp.content_type = HTML
        resp.text = self._pages.filled(visit, "campaigns/said.html", said=words, problem=" ".join([*wrong, problem]).strip())


class SeriesChoice(StepPage):
    """A series that there is instead of a new one, or a new one after all."""

    STEP = "terms"

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """Take it."""
        wanted = visit.form.text("series") or visit.form.text("listed")
        found = await self.opened(visit, resp, draft, lambda tx, _: _chosen(tx, visit.org_id, wanted))
        if not found:
            return
        one, offered = found
        if visit.form.text("new"):
            await self.save(visit, resp, one, replace(one.content, series_id=None, fields={}), stay=True)
        elif offered is None or offered.campaign_id not in {None, one.content.campaign_id}:
            why = "There is no such series." if offered is None else "That series belongs to another campaign."
            self._pages.go(visit, resp, f"/campaigns/drafts/{one.id}/terms", why)
        else:
            await self.save(visit, resp, one, replace(one.content, series_id=offered.series.id, fields={}))


def fields_of(draft: Draft, visit: Visit) -> dict[str, Any]:
    """The wire's fields that were filled in; sensible ones where nothing was."""
    content = draft.content
    if content.fields and content.series_id is None:
        return dict(content.fields)
    end = content.ends_local[:10]
    return {
        "description": content.name,
        "discountType": "PERC",
        "clientHandlingType": "DISC_CODE",
        "randomCodeLength": 8,
        "alphaNumeric": True,
        "unambiguousCode": True,
        "doNotResendExistingVoucher": True,
        "expiryStrategyType": "SERIES_EXPIRY",
        "smsTemplate": "Hello {{first_name}}, your code for {{offer_name}} is {{voucher_code}}, until {{voucher_expiry_date}}",
        "shortSMSTemplate": "Your code: {{voucher_code}}",
        **({"validTillDate": end} if end else {}),
    }


def judge(form: TermsForm, before: Mapping[str, Any], placed: Placed, visit: Visit) -> tuple[dict[str, Any], Terms] | str:
    """The wire's fields and the terms that they make; else what is wrong, as far as no field shows it."""
    fields = checked_fields(form, before, placed)
    if fields is None:
        return _LOOK_AGAIN
    made = drafted(fields, visit.session.org, visit.now_ms, fields.get("seriesCode") or "NEW")
    if not isinstance(made, Problem):
        return fields, made.terms
    return place_problem(form, made) or _LOOK_AGAIN


def checked_fields(form: TermsForm, before: Mapping[str, Any], placed: Placed) -> dict[str, Any] | None:
    """The wire's fields; None for what the form itself finds wrong, said at its fields."""
    return wire_fields(form, before, placed) if form.validate() and check_places(form, placed) else None


def placed_of(tx: ReadTransaction, org_id: int, form: TermsForm) -> dict[tuple[str, str], int]:
    """The ids of the places that were typed. Four statements at most."""
    found: dict[tuple[str, str], int] = {}
    for kind, codes in typed_codes(form).items():
        found |= {(kind, code): number for code, number in by_codes(tx, org_id, kind, codes).items()}
    return found


def _known(tx: ReadTransaction, draft: Draft) -> Known:
    org_id, content = draft.org_id, draft.content
    offered = _offered(tx, org_id, content.series_id) if content.series_id is not None else None
    entities = content.fields.get(_ENTITIES) or ()
    places = {(str(one["redemptionOrgEntityType"]), int(one["orgEntityId"])) for one in entities}
    if offered:
        places |= places_of(offered.series.terms)
    free = free_series(tx, org_id, CAMPAIGN_SERIES_SHOWN)
    return Known(offered, free, *codes_and_names(tx, org_id, places))


def _chosen(tx: ReadTransaction, org_id: int, wanted: str) -> Offered | None:
    """The series of this number or code."""
    number = number_of(wanted)
    found = _offered(tx, org_id, number) if number is not None else None
    if found or not wanted:
        return found
    by_code = series_by_code(tx, org_id, wanted)
    return None if by_code is None else _offered(tx, org_id, by_code)


def _offered(tx: ReadTransaction, org_id: int, series_id: int) -> Offered | None:
    return next(iter(read_series(tx, org_id, [series_id], unreadable=[])), None)
