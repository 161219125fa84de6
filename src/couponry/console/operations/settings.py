"""What the organisation decides for itself."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import falcon.asgi
import msgspec
from msgspec import Struct

from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core.org_settings import OrgSettings
from couponry.core.problem import Problem
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store import audit, registry
from couponry.store.engine import WriteTransaction

SECRETS: Final = frozenset({"smsUrl", "emailUrl"})
"""They hold passwords: never shown, only replaced."""
_MASK: Final = "***"


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """All settings on one page."""
    return {"/settings": SettingsPage(parts, pages)}


class Setting(Struct, frozen=True):
    """One setting as the form shows it. `kind` is `flag` or `text`."""

    name: str
    meaning: str
    kind: str
    value: str
    default: str
    is_secret: bool


class SettingsPage:
    """See and change them."""

    NEEDS, NEEDS_TO_POST = Permission.SEE_OPERATIONS, Permission.OPERATE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """All of them."""
        self._show(visit, resp, settings_of(visit.session.org.settings))

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Change those that differ."""
        there = settings_of(visit.session.org.settings)
        changes = {each.name: sent for each in there if (sent := _sent(visit, each)) is not None}
        done = await self._parts.back_office.write(partial(_change, visit, changes))
        if isinstance(done, Code):
            self._pages.failed(visit, resp, done)
        elif isinstance(done, Problem):
            tried = [msgspec.structs.replace(each, value=_tried(each, changes)) for each in there]
            self._show(visit, resp, tried, problem=done.text)
        else:
            self._pages.go(visit, resp, "/settings", "The settings are changed." if changes else "Nothing was changed.")

    def _show(self, visit: Visit, resp: falcon.asgi.Response, shown: list[Setting], problem: str = "") -> None:
        self._pages.show(visit, resp, "operations/settings.html", status=422 if problem else 200, settings=shown, problem=problem)


def settings_of(values: OrgSettings) -> list[Setting]:
    """Every setting with its meaning, in the order of the table."""
    described = msgspec.json.schema(OrgSettings)["$defs"]["OrgSettings"]["properties"]
    defaults = OrgSettings()
    return [
        Setting(
            name=field.encode_name,
            meaning=described[field.encode_name]["description"],
            kind="flag" if isinstance(getattr(defaults, field.name), bool) else "text",
            value="" if field.encode_name in SECRETS else _plain(getattr(values, field.name)),
            default=_plain(getattr(defaults, field.name)),
            is_secret=field.encode_name in SECRETS and bool(getattr(values, field.name)),
        )
        for field in msgspec.structs.fields(OrgSettings)
    ]


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, frozenset | tuple):
        return ", ".join(sorted(value) if isinstance(value, frozenset) else value)
    return str(value)


def _sent(visit: Visit, setting: Setting) -> str | None:
    """What a form wants of a setting; None where it stays. A secret is replaced when another is typed, and goes when told to."""
    if setting.name in SECRETS:
        if visit.form.text(f"remove-{setting.name}"):
            return ""
        return visit.form.text(setting.name) or None
    sent = visit.form.text(setting.name)
    if setting.kind == "flag":
        sent = "true" if sent else "false"
    return None if sent == setting.value else sent


def _tried(setting: Setting, changes: Mapping[str, str]) -> str:
    return setting.value if setting.name in SECRETS else changes.get(setting.name, setting.value)


def _change(visit: Visit, changes: Mapping[str, str], tx: WriteTransaction) -> OrgSettings | Problem | None:
    if not changes:
        return None
    before = registry.read_settings(tx, visit.org_id)
    after = registry.change_settings(tx, visit.org_id, changes)
    if isinstance(before, Problem) or isinstance(after, Problem):
        return after if isinstance(after, Problem) else before
    audit.record(
        tx, visit.actor(), "change settings", ("org", visit.org_id), before=_of(before, changes), after=_of(after, changes)
    )
    return after


def _of(values: OrgSettings, names: Mapping[str, str]) -> dict[str, Any]:
    every = {each.name: each.value for each in settings_of(values)}
    return {name: _MASK if name in SECRETS else every[name] for name in names}
