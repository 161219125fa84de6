"""Browsers by a name that a person knows, from what they say about themselves."""

from typing import Final

# In this order: most browsers claim to be some of those that come after them.
_BROWSERS: Final = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_CHARS_MAX: Final = 40


def browser_named(said: str) -> str:
    """Such as `Firefox on Windows`; what nobody knows by its own first word."""
    browser = next((name for mark, name in _BROWSERS if mark in said), "")
    system = next((name for mark, name in _SYSTEMS if mark in said), "")
    return " on ".join(filter(None, (browser, system))) or said.partition(" ")[0][:_CHARS_MAX] or "Unknown browser"
