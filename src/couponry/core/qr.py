"""QR codes of coupon codes, so that a till can scan a coupon off a phone."""

import struct
import zlib
from typing import Final

import numpy as np
import segno

_PIXELS_PER_MODULE: Final = 6
_BORDER_MODULES: Final = 4
# Any mask is a QR code. To weigh all eight takes six times as long, and readers found no difference.
_MASK: Final = 3
_AS_ABOVE: Final = 2


def png(code: str) -> bytes:
    """A PNG image of the code, black on white."""
    drawn = segno.make(code, micro=False, error="m", mask=_MASK)  # not every scanner reads Micro QR
    modules = np.pad(np.array([list(row) for row in drawn.matrix], np.uint8), _BORDER_MODULES)
    lines = np.packbits(1 - modules.repeat(_PIXELS_PER_MODULE, 1), axis=1)
    filtered = np.zeros((len(lines), _PIXELS_PER_MODULE, lines.shape[1] + 1), np.uint8)
    filtered[:, 0, 1:] = lines
    filtered[:, 1:, 0] = _AS_ABOVE
    header = struct.pack(">IIBBBBB", *[len(lines) * _PIXELS_PER_MODULE] * 2, 1, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
