"""QR codes, against the PNG files of the library that lays them out."""

import io
import zlib

import pytest
import segno

from couponry.core.qr import png


def chunks(image: bytes) -> dict[bytes, bytes]:
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    found, at = {}, 8
    while at < len(image):
        length = int.from_bytes(image[at : at + 4], "big")
        kind, content = image[at + 4 : at + 8], image[at + 8 : at + 8 + length]
        assert int.from_bytes(image[at + 8 + length : at + 12 + length], "big") == zlib.crc32(kind + content)
        found[kind] = content
        at += 12 + length
    return found


def lines(content: bytes, width: int) -> list[bytes]:
    """Pixels line by line; a line that is filtered is like the one above, but for what it says."""
    data, size, found = zlib.decompress(content), 1 + -(-width // 8), list[bytes]()
    for at in range(0, len(data), size):
        kind, line = data[at], data[at + 1 : at + size]
        assert kind in (0, 2)
        found.append(bytes(a + b & 255 for a, b in zip(line, found[-1], strict=True)) if kind else line)
    return found


@pytest.mark.parametrize("code", ["H4TQ9ZKM", "a", "A-1 b/C", "नमस्ते", "x" * 200])
def test_the_same_as_segno_draws(code: str) -> None:
    theirs = io.BytesIO()
    segno.make(code, micro=False, error="m", mask=3).save(theirs, kind="png", scale=6)
    drawn, ours = chunks(theirs.getvalue()), chunks(png(code))
    assert list(ours) == [b"IHDR", b"IDAT", b"IEND"]
    assert ours[b"IHDR"] == drawn[b"IHDR"]
    width = int.from_bytes(ours[b"IHDR"][:4], "big")
    assert lines(ours[b"IDAT"], width) == lines(drawn[b"IDAT"], width)
