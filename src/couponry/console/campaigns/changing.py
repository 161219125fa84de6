"""Changing a series' terms: at once, or, where they may cost more than one person may decide, once a second one approves."""

from collections.abc import Mapping
from typing import Any, Final

from couponry.console.carrying import Carried
from couponry.console.parts import ConsoleParts
from couponry.core.liability import is_riskier, most_coupons, worst_case
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.rules.series import changed_terms
from couponry.core.second_person import needs_second_person
from couponry.core.status import Code
from couponry.core.terms_words import differences, in_one_line
from couponry.store import approvals, audit
from couponry.store.approvals import Approval
from couponry.store.audit import Actor
from couponry.store.engine import WriteTransaction
from couponry.store.offering import Author, update_series
from couponry.store.offers import Offered, read_series
from couponry.store.registry import read_org

KIND: Final = "terms"
SUBJECT: Final = "series"


def change(tx: WriteTransaction, org: Org, actor: Actor, before: Offered, fields: Mapping[str, Any]) -> Offered | Problem | int:
    """The series as it is then; or the number of the approval that is asked for first."""
    old = before.series
    terms = changed_terms(old.terms, fields, actor.now_ms, series_id=old.id)
    if isinstance(terms, Problem):
        return terms
    total = worst_case(terms, most_coupons(terms, before.counts.issued, None)).total
    is_much = needs_second_person(total, org.settings.launch_approval_above)
    if not is_much or not is_riskier(old.terms, terms, before.counts.issued):
        return write(tx, org, actor, before, fields)
    summary = f"Change series {old.terms.series_code} to: {in_one_line(terms, org.currency)}"
    request = {"seriesId": old.id, "version": old.version, "fields": fields}
    return approvals.ask(tx, actor, kind=KIND, subject=(SUBJECT, old.id), amount=total, summary=summary, request=request)


def write(tx: WriteTransaction, org: Org, actor: Actor, before: Offered, fields: Mapping[str, Any]) -> Offered | Problem:
    """Let the next version follow, and record what it changed; nothing is where nothing differs."""
    after = update_series(tx, org, before.series.id, fields, Author(actor.now_ms))
    if isinstance(after, Problem) or after.series.version == before.series.version:
        return after
    old, new = before.series, after.series
    told = {each.label: (each.before, each.after) for each in differences(old.terms, new.terms, org.currency)}
    was = {"version": old.version, **{name: pair[0] for name, pair in told.items()}}
    now = {"version": new.version, **{name: pair[1] for name, pair in told.items()}}
    audit.record(tx, actor, "change series", (SUBJECT, old.id), before=was, after=now)
    return after


class TermsCarrier:
    """Changes terms in the transaction that decides."""

    def carry_out(self, tx: WriteTransaction, actor: Actor, approval: Approval) -> Carried | Problem | None:
        """Change them, unless they were changed since it was asked."""
        asked, org = approval.request, read_org(tx, actor.org_id)
        found = read_series(tx, actor.org_id, [asked["seriesId"]], unreadable=[])
        if isinstance(org, Problem) or not found:
            return Problem("unknown", "there is no such series")
        if found[0].series.version != asked["version"]:
            return Problem("state", "the terms were changed since this was asked for")
        after = write(tx, org, actor, found[0], asked["fields"])
        if isinstance(after, Problem):
            return after
        return Carried(f"/series/{after.series.id}/versions", f"Approved: this is version {after.series.version} now.")

    async def follow_up(self, parts: ConsoleParts, actor: Actor, approval: Approval) -> Carried | Problem | Code:
        """Nothing is left to do afterwards."""
        return Problem("state", "the terms are changed with their approval")
