"""QR codes of coupon codes, so that a till can scan a coupon off a phone."""

from base64 import b64decode
from typing import Final

import segno

_PIXELS_PER_MODULE: Final = 6


def png(code: str) -> bytes:
    """A PNG image of the code. It takes milliseconds to draw: not for where others wait."""
    drawn = segno.make(code, micro=False, error="m")  # not every scanner reads Micro QR
    return b64decode(drawn.png_data_uri(scale=_PIXELS_PER_MODULE).partition(",")[2])
