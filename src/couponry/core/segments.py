"""How many parts an SMS is sent in, which is what it costs: 160 characters of GSM-7 or 70 of UCS-2, fewer in each of several."""

from typing import Final, Literal

from msgspec import Struct

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Each takes two places: an escape, and itself.
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")
_GSM: Final = _BASIC | _EXTENDED
_LAST_BMP: Final = "\uffff"


class Segments(Struct, frozen=True):
    """A text as an SMS: `units` are the places that its characters take in its encoding."""

    encoding: Literal["GSM-7", "UCS-2"]
    characters: int
    units: int
    segments: int


def segments(text: str) -> Segments:
    """No character is cut in two: one that takes two places goes to the next part whole."""
    is_gsm = _GSM.issuperset(text)
    one, many = (160, 153) if is_gsm else (70, 67)
    sizes = [1 + (letter in _EXTENDED) if is_gsm else 1 + (letter > _LAST_BMP) for letter in text]
    units = sum(sizes)
    encoding: Literal["GSM-7", "UCS-2"] = "GSM-7" if is_gsm else "UCS-2"
    return Segments(encoding, len(text), units, min(units, 1) if units <= one else _parts(sizes, many))


def _parts(sizes: list[int], places: int) -> int:
    parts, left = 1, places
    for size in sizes:
        if size > left:
            parts, left = parts + 1, places
        left -= size
    return parts
