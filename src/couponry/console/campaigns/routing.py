"""All pages of Campaign Manager."""

from collections.abc import Mapping

from couponry.console.campaigns import (
    audience_file,
    audience_step,
    calendar,
    campaign_step,
    change,
    check_step,
    drafts,
    history,
    listing,
    message_step,
    one,
    series_messages,
    terms_step,
)
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """All pages of campaigns."""
    found: dict[str, Resource] = {}
    steps = (campaign_step, terms_step, audience_step, audience_file, message_step, check_step)
    for module in (listing, calendar, one, change, history, series_messages, drafts, *steps):
        found |= module.routes(parts, pages)
    return found
