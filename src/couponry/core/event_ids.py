"""`eventId`: a UUID made of the org and the row of the outbox, so that every repeat has the same one, and a row is found by it.

It is of version 8, "vendor specific" (RFC 9562): 60 bits of the row's id, 62 bits to check it by.
"""

import re
from hashlib import blake2b
from typing import Final

_FORM: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_VERSION: Final = 8 << 12
_VARIANT: Final = 2 << 62
_LOW_BITS: Final = 12


def event_id(org_id: int, outbox_id: int) -> str:
    """The id of the event that a row of an org's outbox tells of."""
    high, low = divmod(outbox_id, 1 << _LOW_BITS)
    digest = blake2b(b"%d %d" % (org_id, outbox_id), digest_size=8, person=b"event id").digest()
    check = _VARIANT | int.from_bytes(digest) >> 2
    text = f"{high:012x}{_VERSION | low:04x}{check:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def outbox_id(org_id: int, text: str) -> int | None:
    """The row that an event of the org has this id of; None when no event can have it."""
    if not _FORM.fullmatch(text := text.lower()):
        return None
    digits = text.replace("-", "")
    found = int(digits[:12], 16) << _LOW_BITS | int(digits[13:16], 16)
    return found if event_id(org_id, found) == text else None
