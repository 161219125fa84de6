"""What is known about a draft before its launch, read in one view and for as many statements whatever there is."""

from msgspec import Struct

from couponry.console.campaigns.audience_step import count_of
from couponry.core.job_requests import IssueRequest
from couponry.core.launch_facts import Facts
from couponry.core.launching import CampaignDraft, instant_ms
from couponry.core.model import Handling, Org
from couponry.core.problem import Problem
from couponry.core.rules.jobs import issue_problem
from couponry.core.rules.series import changed_terms
from couponry.core.series import Series, series_from_terms
from couponry.core.terms_words import Names
from couponry.store.campaign_reads import codes_made, is_code_taken, series_by_code
from couponry.store.campaigns import read_campaign
from couponry.store.drafts import Draft
from couponry.store.engine import ReadTransaction
from couponry.store.offering import drafted
from couponry.store.offers import Offered, read_series
from couponry.store.place_names import names_of, places_of


class Look(Struct, frozen=True):
    """The facts, and what places are called."""

    facts: Facts
    names: Names


def look(tx: ReadTransaction, org: Org, draft: Draft, now_ms: int, due_ms: int | None) -> Look | Problem:
    """The facts about a draft; a Problem where its terms cannot be read, which says why."""
    content = draft.content
    offered = _offered(tx, org, content.series_id)
    series = _series(org, content, offered, now_ms)
    if isinstance(series, Problem):
        return series
    launch_ms = max(now_ms, due_ms or now_ms)
    made = codes_made(tx, org.id, series.id)
    named = places_of(series.terms)
    names = names_of(tx, org.id, named)
    unknown = [f"{kind.lower()} {number}" for kind, number in sorted(named) if not _is_known(names, kind, number)]
    is_pool = series.terms.client_handling_type is Handling.UPLOADED
    facts = Facts(
        org=org,
        series=series,
        is_new=offered is None,
        launch_ms=launch_ms,
        ends_ms=_ends_ms(tx, org, content),
        whom=content.whom,
        count=content.count,
        send=content.send,
        people=count_of(tx, org.id, content),
        issued=offered.counts.issued if offered else 0,
        codes_made=made,
        pool=(offered.never_issued if offered else 0) if is_pool else None,
        unknown_places=unknown,
        places=len(named),
        clash=_clash(tx, org, series, offered),
        refused=_refused(org, series, content, made, launch_ms),
    )
    return Look(facts, names)


def _offered(tx: ReadTransaction, org: Org, series_id: int | None) -> Offered | None:
    found = read_series(tx, org.id, [series_id], unreadable=[]) if series_id is not None else []
    return found[0] if found else None


def _series(org: Org, content: CampaignDraft, offered: Offered | None, now_ms: int) -> Series | Problem:
    if content.series_id is not None:
        if offered is None:
            return Problem("unknown", "there is no such series, or its terms cannot be used")
        if offered.campaign_id not in {None, content.campaign_id}:
            return Problem("conflict", "the series belongs to another campaign by now")
        before = offered.series
        terms = changed_terms(before.terms, content.fields, now_ms, series_id=before.id) if content.fields else before.terms
        return terms if isinstance(terms, Problem) else series_from_terms(before.id, before.version, terms)
    made = drafted(content.fields, org, now_ms, content.fields.get("seriesCode") or "NEW")
    return made if isinstance(made, Problem) else series_from_terms(0, 1, made.terms)


def _ends_ms(tx: ReadTransaction, org: Org, content: CampaignDraft) -> int | None:
    if content.campaign_id is None:
        return instant_ms(content.ends_local, org.zone)
    campaign = read_campaign(tx, org.id, content.campaign_id)
    if isinstance(campaign, Problem):
        return None
    return 0 if campaign.state == "ENDED" else campaign.ends_ms


def _is_known(names: Names, kind: str, number: int) -> bool:
    """A number listed for stores may be a till's (rules 8)."""
    return (kind, number) in names or (kind == "STORE" and ("TILL", number) in names)


def _clash(tx: ReadTransaction, org: Org, series: Series, offered: Offered | None) -> str:
    if offered is not None:
        return ""
    terms = series.terms
    if series_by_code(tx, org.id, terms.series_code) is not None:
        return f"The series code {terms.series_code}"
    is_shared = terms.generic_code is not None and is_code_taken(tx, org.id, terms.generic_code)
    return f"The code {terms.generic_code}" if is_shared else ""


def _refused(org: Org, series: Series, content: CampaignDraft, made: int, launch_ms: int) -> Problem | None:
    """What a job would be refused for, but what has a finding of its own."""
    if not content.makes_job or launch_ms > series.expires_ms:
        return None
    return issue_problem(org, series, made, IssueRequest(content.audience, content.count, content.send), launch_ms)
