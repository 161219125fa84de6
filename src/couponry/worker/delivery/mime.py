"""An e-mail as bytes for SMTP: text, HTML, and QR codes as images in it.

Written out by hand: the standard library's `email` takes 20 times as long. Bodies are base64, so no line of theirs begins with a
dot, is a boundary, or is too long; what goes into a header is checked or encoded.
"""

from base64 import b64encode
from collections.abc import Sequence
from email.header import Header
from email.utils import formatdate
from typing import Final

from couponry.core.emails import Email

_LINE: Final = 76
_ALTERNATIVE, _RELATED = "=_couponry_alternative", "=_couponry_related"
_SUBJECT_PLAIN_MAX: Final = 60
END: Final = b".\r\n"


def composed(mail: Email, images: Sequence[tuple[str, bytes]], headers: Sequence[tuple[str, str]]) -> bytes:
    """The whole message, but for the dot that ends it. `headers` are ASCII and have no line breaks."""
    parts = [_part("text/plain; charset=utf-8", mail.text.encode(errors="replace"))]
    if mail.html:
        html = _part("text/html; charset=utf-8", mail.html.encode(errors="replace"))
        parts.append(_related(html, images) if images else html)
    head = [f"Subject: {_subject(mail.subject)}", f"Date: {formatdate()}", *(f"{name}: {value}" for name, value in headers)]
    body = parts[0] if len(parts) == 1 else _several("alternative", _ALTERNATIVE, parts)
    return "\r\n".join((*head, "MIME-Version: 1.0", body, "")).encode("ascii")


def _related(html: str, images: Sequence[tuple[str, bytes]]) -> str:
    drawn = [
        _part(f"image/png\r\nContent-ID: <{content_id}>\r\nContent-Disposition: inline", image) for content_id, image in images
    ]
    return _several("related", _RELATED, [html, *drawn])


def _several(kind: str, boundary: str, parts: Sequence[str]) -> str:
    listed = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n{listed}--{boundary}--'


def _part(kind: str, content: bytes) -> str:
    encoded = b64encode(content).decode()
    lines = "\r\n".join(encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE))
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n{lines}"


def _subject(subject: str) -> str:
    """As it is if it is short and plain; else in encoded words, on several lines."""
    is_plain = subject.isascii() and subject.isprintable() and len(subject) <= _SUBJECT_PLAIN_MAX and "=?" not in subject
    return subject if is_plain else Header(subject, "utf-8", header_name="Subject").encode(linesep="\r\n")
