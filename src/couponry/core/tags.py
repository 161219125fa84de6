"""Tags of message templates (events.md): `{{ first_name }}`, blanks ignored."""

import re
from typing import Final

from couponry.core.model import Terms
from couponry.core.segments import segments

KNOWN: Final = frozenset(
    {
        *("first_name", "firstname", "last_name", "full_name", "fullname", "cust_name", "voucher", "voucher_code", "offer_name"),
        *("valid_days_from_create", "voucher_expiry_date", "customer_mobile", "customer_email", "customer_barcode", "optout"),
        "validation_code",
    }
)
_CODES: Final = frozenset({"voucher", "voucher_code"})
TAG: Final = re.compile(r"\{\{([^{}]{0,64})\}\}")


def unknown_tags(template: str) -> list[str]:
    """The tags of a template that will render as nothing, each once."""
    return list(dict.fromkeys(name for name in _names(template) if name not in KNOWN))


def remarks(terms: Terms) -> list[str]:
    """What the owner of a series should know about its templates: tags that render as nothing, what no message would say, and
    what will cost more than one SMS, whoever is sent it.
    """
    templates = {"smsTemplate": terms.sms_template, "shortSMSTemplate": terms.short_sms_template}
    found = [f"{name} has an unknown tag {{{{{tag}}}}}" for name, text in templates.items() for tag in unknown_tags(text)]
    if terms.is_sms_disabled:
        return found
    if not any(text.strip() for text in templates.values()):
        return [*found, "there is no smsTemplate, so that no message is sent"]
    silent = [name for name, text in templates.items() if text.strip() and _CODES.isdisjoint(_names(text))]
    found += [f"{name} does not name the code: {{{{voucher}}}}" for name in silent]
    counted = {name: segments(TAG.sub("", text).strip()) for name, text in templates.items()}
    long = {name: count for name, count in counted.items() if count.segments > 1}
    return [*found, *(f"{name} is sent in {count.segments} SMS or more, as {count.encoding}" for name, count in long.items())]


def _names(template: str) -> list[str]:
    return [tag.strip() for tag in TAG.findall(template)]
