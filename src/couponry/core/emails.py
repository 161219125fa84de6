"""E-mails to be: what `delivery.body` holds for them, as JSON, so that it says the same whenever it is sent."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from couponry.core import qr
from couponry.core.limits import EMAIL_IMAGES_MAX, EMAIL_SUBJECT_CHARS_MAX
from couponry.core.templates import escaped, one_line, render, render_html

_encode: Final = msgspec.json.Encoder().encode
_PAGE: Final = (
    '<!DOCTYPE html><html><head><meta charset="utf-8"><title>{subject}</title></head>'
    '<body style="font-family:sans-serif;line-height:1.4">{body}</body></html>'
)
_IMAGE: Final = '<p><img src="cid:{cid}" alt="{code}"><br><strong>{code}</strong></p>'
_IS_HTML: Final = re.compile(r"<(?:!doctype|html|body|table|h[1-6]|p|div|span|a|b|i|br|strong|img)\b[^<>]*>", re.IGNORECASE)
_UNSEEN: Final = re.compile(r"<(style|script|title)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_ENDS_LINE: Final = re.compile(r"<(?:br|/p|/div|/tr|/h[1-6])\b[^<>]*>", re.IGNORECASE)
_MARKUP: Final = re.compile(r"<[^<>]*>")
_ENTITIES: Final = (("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#39;", "'"), ("&amp;", "&"))
_LINES: Final = re.compile(r"[ \n]*\n[ \n]*")


class Email(Struct, frozen=True):
    """Subject and two forms of the same text. `codes` are drawn as images where the HTML names them (`images`)."""

    subject: str
    text: str
    html: str
    codes: tuple[str, ...] = ()

    def body(self) -> str:
        """As JSON, for `delivery.body`."""
        return _encode(self).decode()

    def images(self, png: Callable[[str], bytes] = qr.png) -> list[tuple[str, bytes]]:
        """Content ids and PNG images of what the HTML shows; drawing takes milliseconds each."""
        return [(_cid(place), png(code)) for place, code in enumerate(self.codes)]


def email_from_body(body: str) -> Email:
    """The e-mail that a delivery holds."""
    return msgspec.json.decode(body, type=Email)


def about_coupons(subject: str, text: str, codes: Sequence[str]) -> Email:
    """A plain text, with the first few coupon codes to scan."""
    shown = tuple(codes[:EMAIL_IMAGES_MAX])
    images = "".join(_IMAGE.format(cid=_cid(place), code=escaped(code)) for place, code in enumerate(shown))
    return _email(subject, text, _paragraph(text) + images, shown)


def plain(subject: str, text: str) -> Email:
    """Nothing but a text."""
    return _email(subject, text, _paragraph(text))


def from_templates(subject: str, body: str, values: Mapping[str, str]) -> Email:
    """In somebody's own words. A body that has markup is HTML, and what it says without that is the text part."""
    title = render(subject, values)
    if not _IS_HTML.search(body):
        return plain(title, render(body, values))
    lines = _ENDS_LINE.sub("\n", _UNSEEN.sub("", body).replace("\r", "").replace("\n", " "))
    text = _MARKUP.sub("", lines)
    for entity, letter in _ENTITIES:
        text = text.replace(entity, letter)
    return _email(title, _LINES.sub("\n", render(text, values)), render_html(body, values), is_page=True)


def _email(subject: str, text: str, html: str, codes: tuple[str, ...] = (), *, is_page: bool = False) -> Email:
    title = one_line(subject)[:EMAIL_SUBJECT_CHARS_MAX]
    return Email(title, text, html if is_page else _PAGE.format(subject=escaped(title), body=html), codes)


def _paragraph(text: str) -> str:
    return f"<p>{escaped(text)}</p>".replace("\n", "<br>")


def _cid(place: int) -> str:
    return f"code-{place}@couponry"
