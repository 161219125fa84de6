"""Where a customer may have come from, and where a request for one may come from (v2-coupon 2)."""

from typing import Final

DEFAULT_SOURCE: Final = "INSTORE"
SOURCES: Final = frozenset(
    {
        DEFAULT_SOURCE,
        "FACEBOOK",
        "WEB_ENGAGE",
        "WECHAT",
        "MARTJACK",
        "TMALL",
        "TAOBAO",
        "JD",
        "ECOMMERCE",
        "WEBSITE",
        "LINE",
        "MOBILE_APP",
    }
)


def is_source(text: str | None) -> bool:
    """Whether it is one, in any case; nothing is the default."""
    return not text or text.strip().upper() in SOURCES
