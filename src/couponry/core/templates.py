"""Message templates: the documented tags (events 5) become values, and nothing else is ever evaluated.

A template is text from somebody else, and so are the values; each is looked at once, so that a value that looks like a tag stays
what it is.
"""

import re
from collections.abc import Mapping
from typing import Final

from couponry.core.tags import TAG

# Control characters have no place in an SMS or a subject, nor NUL in PostgreSQL; a lone surrogate is no UTF-8.
_UNPRINTABLE: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_BLANKS: Final = re.compile(r"\s+")
_HTML: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})


def render(template: str, values: Mapping[str, str]) -> str:
    """The template as plain text. A tag that has no value, or that nobody knows, is nothing (`tags.unknown_tags` finds it)."""
    lines = template.replace("\r\n", "\n")
    return _UNPRINTABLE.sub(" ", TAG.sub(lambda tag: one_line(values.get(tag[1].strip(), "")), lines)).strip()


def render_html(template: str, values: Mapping[str, str]) -> str:
    """The template as the HTML that its author wrote; what a value holds is text there."""
    return _UNPRINTABLE.sub(" ", TAG.sub(lambda tag: escaped(one_line(values.get(tag[1].strip(), ""))), template))


def one_line(text: str) -> str:
    """Without line breaks, which would be headers of an e-mail, or a message of their own."""
    return _BLANKS.sub(" ", _UNPRINTABLE.sub(" ", text)).strip()


def escaped(text: str) -> str:
    """Text as HTML shows it, also inside an attribute."""
    return text.translate(_HTML)
