"""Step 3: whom the coupons are for, and how many customers that are."""

import re
from collections.abc import Mapping
from datetime import datetime, time
from typing import Any, Final, cast

import falcon.asgi
from msgspec import Struct
from msgspec.structs import replace
from wtforms import Form, IntegerField, StringField, TextAreaField
from wtforms.validators import Length, NumberRange, Optional

from couponry.console.campaigns.flow import StepPage
from couponry.console.fields import Choice, Choices, Options
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core.audience import EVERYBODY, Audience, LoyaltyType, Segment
from couponry.core.dates import ms_from_local
from couponry.core.expiry import local_time
from couponry.core.launch_facts import Count
from couponry.core.launching import CampaignDraft, For
from couponry.core.limits import COUNT_MAX, DAY_MS, ISSUE_COUNT_MAX, ISSUED_CODES_MAX, PLACES_TYPED_MAX
from couponry.store.audience_sizes import audience_count
from couponry.store.campaign_reads import series_named
from couponry.store.drafts import Draft
from couponry.store.engine import ReadTransaction
from couponry.store.place_names import by_codes, codes_and_names
from couponry.store.registry import status_labels

WHOM: Final[Mapping[str, str]] = {
    "everyone": "Everyone",
    "segment": "A segment of customers",
    "file": "Customers listed in a file",
    "codes": "Nobody yet: make codes to print or hand out",
    "nobody": "No coupons now: tills and shops issue them",
}
_LIST_CHARS_MAX: Final = 10_000
_NO_NAME: Final = re.compile(r"#\d{1,15}", re.ASCII)


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The step; files have a page of their own."""
    return {"/campaigns/drafts/{draft}/audience": AudienceStep(parts, pages)}


class AudienceForm(Form):
    """Whom, as a person says it."""

    whom = Options("Whom the coupons are for", WHOM)
    count = IntegerField(
        "How many",
        [Optional(), NumberRange(1, ISSUED_CODES_MAX)],
        default=1,
        description="Coupons for each customer; or, where they are for nobody yet, codes in all.",
    )
    loyalty_type = Choice(
        "Loyalty programme",
        {"": "does not matter", "loyalty": "members only", "non_loyalty": "only who is no member"},
        default="",
    )
    registered_from = StringField("Registered from", description="On that day or later.", render_kw={"type": "date"})
    registered_to = StringField("Registered until", description="On that day or before.", render_kw={"type": "date"})
    stores = TextAreaField(
        "Registered at the stores",
        [Length(max=_LIST_CHARS_MAX)],
        description="Their codes, with commas or one a line; empty for any.",
        render_kw={"rows": 2},
    )
    redeemed = StringField(
        "Have redeemed a coupon of", [Length(max=_LIST_CHARS_MAX)], description="Series by their codes or numbers, with commas."
    )
    not_redeemed = StringField(
        "Have redeemed none of", [Length(max=_LIST_CHARS_MAX)], description="Series by their codes or numbers, with commas."
    )
    min_transactions = IntegerField("Bills at least", [Optional(), NumberRange(0, COUNT_MAX)], description="Made so far.")
    max_transactions = IntegerField("Bills at most", [Optional(), NumberRange(0, COUNT_MAX)], description="Made so far.")
    status_labels = Choices("Customer status", {}, description="None ticked means any.")


class Read(Struct, frozen=True):
    """What the step reads beside the draft."""

    count: Count | None
    stores: str = ""
    labels: frozenset[str] = frozenset()
    store_ids: Mapping[str, int] = {}
    series_ids: Mapping[str, int] = {}


class AudienceStep(StepPage):
    """The step."""

    STEP = "audience"

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """What was chosen, and how many customers that are."""
        if found := await self.opened(visit, resp, draft, _read):
            one, read = found
            self._show(visit, resp, one, read, _form(read, data=_data(one.content, read, visit)))

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """Keep what was chosen; with `count` only show how many customers that are."""
        found = await self.opened(visit, resp, draft, lambda tx, one: _read(tx, one, AudienceForm(visit.form)))
        if not found:
            return
        one, read = found
        form = _form(read, visit.form)
        content = _content(form, one.content, read, visit)
        if content is None:
            self._show(visit, resp, one, read, form, status=422)
            return
        await self.save(visit, resp, one, content, stay=bool(visit.form.text("look")))

    def _show(
        self, visit: Visit, resp: falcon.asgi.Response, draft: Draft, read: Read, form: AudienceForm, status: int = 200
    ) -> None:
        self.show(visit, resp, draft, "campaigns/audience.html", read=read, form=form, status=status, whom=WHOM)


def count_of(tx: ReadTransaction, org_id: int, content: CampaignDraft) -> Count | None:
    """How many customers the audience has; None where it names nobody. Three statements at most."""
    audience = content.audience
    if content.whom == "file":
        return listed_count(content)
    if content.whom not in {"everyone", "segment"} or audience is None:
        return None
    return audience_count(tx, org_id, audience.segment)


def listed_count(content: CampaignDraft) -> Count:
    """Of a file: as many as were looked up and known, and at most its rows; as a share of what was looked up beyond that."""
    if content.upload_looked >= content.upload_rows:
        return Count(content.upload_known, content.upload_known)
    return Count(content.upload_known, content.upload_rows)


def _form(read: Read, *given: Any, **more: Any) -> AudienceForm:  # noqa: ANN401 - as WTForms has it
    form = AudienceForm(*given, **more)
    form.status_labels.choices = [(label, label) for label in sorted(read.labels)]
    return form


def _read(tx: ReadTransaction, draft: Draft, form: AudienceForm | None = None) -> Read:
    """The count, and what stands behind what was typed."""
    org_id, content = draft.org_id, draft.content
    segment = content.audience.segment if content.audience and content.audience.segment else Segment()
    codes, _ = codes_and_names(tx, org_id, {("STORE", number) for number in segment.store_ids})
    shown = ", ".join(codes.get(("STORE", number), f"#{number}") for number in segment.store_ids)
    typed = _split(form.stores.data) if form else []
    named = [*_split(form.redeemed.data), *_split(form.not_redeemed.data)] if form else []
    return Read(
        count=count_of(tx, org_id, content),
        stores=shown,
        labels=status_labels(tx, org_id),
        store_ids=by_codes(tx, org_id, "STORE", typed),
        series_ids=series_named(tx, org_id, named),
    )


def _data(content: CampaignDraft, read: Read, visit: Visit) -> dict[str, Any]:
    segment = content.audience.segment if content.audience and content.audience.segment else Segment()
    days = [
        None if at is None else local_time(at // 1000, visit.session.org.zone).date().isoformat()
        for at in (segment.registered_from, segment.registered_to)
    ]
    return {
        "whom": content.whom,
        "count": content.count,
        "loyalty_type": segment.loyalty_type or "",
        "registered_from": days[0],
        "registered_to": days[1],
        "stores": read.stores,
        "redeemed": ", ".join(map(str, segment.redeemed_series_ids)),
        "not_redeemed": ", ".join(map(str, segment.not_redeemed_series_ids)),
        "min_transactions": segment.min_transactions,
        "max_transactions": segment.max_transactions,
        "status_labels": segment.status_labels,
    }


def _content(form: AudienceForm, before: CampaignDraft, read: Read, visit: Visit) -> CampaignDraft | None:
    """What was chosen; None, said at the fields, for what cannot be."""
    if not form.validate():
        return None
    whom = cast("For", form.whom.data)
    count = form.count.data or 1
    if whom != "codes" and count > ISSUE_COUNT_MAX:
        _wrong(form, "count", f"Each customer can get {ISSUE_COUNT_MAX} coupons at most.")
        return None
    changed = replace(before, whom=whom, count=count, send=before.send and whom not in {"codes", "nobody"})
    if whom == "file":
        if before.audience is None or before.audience.upload_id is None:
            _wrong(form, "whom", "Upload the file first, below.")
            return None
        return changed
    if whom == "segment":
        segment = _segment(form, read, visit)
        return None if segment is None else replace(changed, audience=Audience(segment=segment))
    return replace(changed, audience=EVERYBODY if whom == "everyone" else None)


def _segment(form: AudienceForm, read: Read, visit: Visit) -> Segment | None:
    stores = _named(form, "stores", read.store_ids, "store")
    redeemed = _named(form, "redeemed", read.series_ids, "series")
    not_redeemed = _named(form, "not_redeemed", read.series_ids, "series")
    first_ms = _day_ms(form, "registered_from", visit)
    last_ms = _day_ms(form, "registered_to", visit)
    if first_ms is not None and last_ms is not None and first_ms > last_ms:
        _wrong(form, "registered_to", "The last day is before the first.")
    least, most = form.min_transactions.data, form.max_transactions.data
    if least is not None and most is not None and least > most:
        _wrong(form, "max_transactions", "This is less than the least.")
    if form.errors:
        return None
    return Segment(
        loyalty_type=cast("LoyaltyType | None", form.loyalty_type.data or None),
        registered_from=first_ms,
        registered_to=None if last_ms is None else last_ms + DAY_MS - 1,
        store_ids=stores,
        redeemed_series_ids=redeemed,
        not_redeemed_series_ids=not_redeemed,
        min_transactions=least,
        max_transactions=most,
        status_labels=tuple(form.status_labels.data or ()),
    )


def _named(form: AudienceForm, name: str, known: Mapping[str, int], what: str) -> tuple[int, ...]:
    typed = _split(form[name].data)
    unknown = [text for text in typed if text not in known and not _NO_NAME.fullmatch(text)]
    if unknown:
        _wrong(form, name, f"There is no {what} {', '.join(unknown[:3])}.")
        return ()
    return tuple(sorted({known[text] if text in known else int(text[1:]) for text in typed}))


def _day_ms(form: AudienceForm, name: str, visit: Visit) -> int | None:
    text = (form[name].data or "").strip()
    if not text:
        return None
    try:
        return ms_from_local(datetime.combine(datetime.fromisoformat(text).date(), time()), visit.session.org.zone)
    except (ValueError, OverflowError):
        _wrong(form, name, "That is no date.")
        return None


def _split(text: str | None) -> list[str]:
    parts = (part.strip() for line in (text or "").splitlines() for part in line.split(","))
    return list(dict.fromkeys(part for part in parts if part))[:PLACES_TYPED_MAX]


def _wrong(form: AudienceForm, name: str, text: str) -> None:
    form[name].errors = [*form[name].errors, text]
