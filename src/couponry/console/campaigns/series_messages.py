"""What customers of a series are told, changed after its launch: a next version of its terms."""

from collections.abc import Mapping
from typing import Any

import falcon.asgi

from couponry.console.campaigns.changing import write
from couponry.console.campaigns.message_step import MessageForm, data_of, wire_of
from couponry.console.gate import Resource
from couponry.console.pages import HTML, Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core.launching import CampaignDraft
from couponry.core.message_samples import TAGS, sample_message
from couponry.core.problem import Problem
from couponry.core.roles import Permission
from couponry.core.rules.series import changed_terms
from couponry.core.series import Series, series_from_terms
from couponry.core.status import Code
from couponry.core.terms_words import in_labels
from couponry.store.offers import Offered, read_series


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The form, and how it looks while one writes."""
    at = "/series/{number}/messages"
    return {at: SeriesMessages(parts, pages), f"{at}/preview": SeriesMessagesPreview(parts, pages)}


class SeriesMessages:
    """The form."""

    NEEDS = NEEDS_TO_POST = Permission.MAKE_CAMPAIGNS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """As they are."""
        if offered := await self._offered(visit, resp, number):
            form = MessageForm(data=data_of(CampaignDraft(), offered.series.terms))
            self._show(visit, resp, offered, form, offered.series)

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Let a next version follow."""
        offered = await self._offered(visit, resp, number)
        if offered is None:
            return
        form, org, actor = MessageForm(visit.form), visit.session.org, visit.actor()
        series = _with(form, offered, visit.now_ms)
        if not isinstance(series, Series):
            self._show(visit, resp, offered, form, series, 422)
            return
        fields = wire_of(form, offered)
        done = await self._parts.back_office.write(lambda tx: write(tx, org, actor, offered, fields))
        if isinstance(done, Code):
            self._pages.failed(visit, resp, done)
        elif isinstance(done, Problem):
            self._show(visit, resp, offered, form, done, 422)
        else:
            notice = f"Saved. This is version {done.series.version}."
            self._pages.go(visit, resp, f"/series/{offered.series.id}/messages", notice)

    async def _offered(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> Offered | None:
        wanted = number_of(number) or 0
        found = await self._parts.back_office.read(lambda tx: read_series(tx, visit.org_id, [wanted], unreadable=[]))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
        elif not found:
            self._pages.missing(visit, resp, "series")
        else:
            return found[0]
        return None

    def _show(
        self,
        visit: Visit,
        resp: falcon.asgi.Response,
        offered: Offered,
        form: MessageForm,
        series: Series | Problem | None,
        status: int = 200,
    ) -> None:
        sample = sample_message(visit.session.org, series, visit.now_ms) if isinstance(series, Series) else None
        problem = in_labels(series.text) if isinstance(series, Problem) else ""
        context: dict[str, Any] = {"form": form, "sample": sample, "problem": problem, "tags": TAGS, "series": offered.series}
        self._pages.show(visit, resp, "campaigns/series_messages.html", status=status, **context)


class SeriesMessagesPreview(SeriesMessages):
    """How they look while one writes."""

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Nothing to see here."""
        self._pages.go(visit, resp, f"/series/{number_of(number) or 0}/messages")

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """A part of a page."""
        offered = await self._offered(visit, resp, number)
        if offered is None:
            return
        form = MessageForm(visit.form)
        series = _with(form, offered, visit.now_ms)
        sample = sample_message(visit.session.org, series, visit.now_ms) if isinstance(series, Series) else None
        problem = in_labels(series.text) if isinstance(series, Problem) else " ".join(form.reminders.errors)
        resp.content_type = HTML
        resp.text = self._pages.filled(visit, "campaigns/sample.html", sample=sample, problem=problem)


def _with(form: MessageForm, offered: Offered, now_ms: int) -> Series | Problem | None:
    """The series with what was written; None where the form's own fields say what is wrong."""
    if not form.validate():
        return None
    series = offered.series
    terms = changed_terms(series.terms, wire_of(form, offered), now_ms, series_id=series.id)
    return terms if isinstance(terms, Problem) else series_from_terms(series.id, series.version + 1, terms)
