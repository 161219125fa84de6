"""Tags of message templates (events.md): `{{ first_name }}`, blanks ignored."""

import re
from typing import Final

KNOWN: Final = frozenset(
    {
        *("first_name", "firstname", "last_name", "full_name", "fullname", "cust_name", "voucher", "voucher_code", "offer_name"),
        *("valid_days_from_create", "voucher_expiry_date", "customer_mobile", "customer_email", "customer_barcode", "optout"),
        "validation_code",
    }
)
TAG: Final = re.compile(r"\{\{([^{}]{0,64})\}\}")


def unknown_tags(template: str) -> list[str]:
    """The tags of a template that will render as nothing, each once."""
    return list(dict.fromkeys(name for tag in TAG.findall(template) if (name := tag.strip()) not in KNOWN))
