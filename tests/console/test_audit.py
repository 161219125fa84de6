"""The audit log: nobody changes it, everything that is done is in it, and it is found again."""

import ast
import csv
import inspect
import io
import re
import sys
import time
from collections.abc import Iterator
from textwrap import dedent
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event, select, text

from couponry.console import subjects
from couponry.core.limits import FAILED_SIGN_INS_NOTED_MAX
from couponry.core.roles import Permission, Role
from couponry.store import audit
from couponry.store import schema as t
from couponry.store.audit import Actor, Filter
from couponry.store.engine import StoreError
from tests.api.shop import Front, Shop
from tests.console.browser import Browser
from tests.console.routes import Route, routes

CHANGE_NOTHING: dict[str, str] = {
    "/console/sign-in": "`Door` writes, whom both steps share",
}
"""Routes that are posted to and leave no entry, each with the reason."""
PREVIEW = "/preview"
"""How a route ends that only shows what would be."""


def written(shop: Shop, count: int = 1, **more: Any) -> None:
    who: dict[str, Any] = {"user_id": 305, "email": "admin@example.com", "address": "::1", "request_id": "r"}
    actor = Actor(org_id=shop.org_id, now_ms=shop.clock.ms, **who)
    subject = ("campaign", more.pop("subject", 7001))
    with shop.database.writing() as tx:
        for _ in range(count):
            audit.record(tx, actor, more.get("action", "launch"), subject, before=more.get("before"), after=more.get("after"))


def test_nobody_changes_what_was_written(shop: Shop) -> None:
    written(shop)
    statements = ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", "DELETE FROM audit WHERE id > 0"]
    if shop.database.is_sqlite:
        with shop.database.reading() as tx:
            row = dict(tx.rows(select(t.audit), {})[0]._mapping)
        names = ", ".join(row)
        statements.append(
            f"INSERT OR REPLACE INTO audit ({names}) SELECT {names.replace('actor', chr(39) + 'x' + chr(39))} FROM audit"
        )
    else:
        statements += ["TRUNCATE audit", "DELETE FROM audit WHERE false"]
    for statement in statements:
        with pytest.raises(StoreError), shop.database.writing() as tx:
            tx.connection.execute(text(statement))
    with shop.database.reading() as tx:
        assert [entry.actor for entry in audit.entries(tx, shop.org_id, limit=9)] == ["admin@example.com"]


def test_what_changed_is_shown(shop: Shop, browsers: dict[Role, Browser]) -> None:
    before = {"name": "<b>Old</b>", "same": 1, "terms": {"max": 5, "same": []}, "gone": True}
    written(shop, before=before, after={"name": "New", "same": 1, "terms": {"max": None, "same": []}, "new": {}})
    shown = browsers["auditor"].get("/audit").text
    assert "name: <del>&lt;b&gt;Old&lt;/b&gt;</del> → <ins>New</ins>" in shown
    assert "<li>terms.max: <del>5</del></li>" in shown
    assert "<li>gone: <del>true</del></li>" in shown
    assert "same:" not in shown
    assert "/console/campaigns/7001" in shown


def test_what_is_looked_for_is_found(shop: Shop, admin: Browser) -> None:
    written(shop, subject=7001)
    written(shop, subject=7002, action="pause")
    for query, count in (
        ({}, 3),
        ({"action": "pause"}, 1),
        ({"kind": "campaign"}, 2),
        ({"kind": "campaign", "subject": "7002"}, 1),
        ({"kind": "campaign", "subject": "7002", "action": "launch"}, 0),
        ({"person": "admin@example.com"}, 3),
        ({"person": "ADMIN@example.com", "action": "launch"}, 1),
        ({"person": "nobody@example.com"}, 0),
        ({"user": "305", "kind": "campaign", "subject": "7001"}, 1),
        ({"subject": "7001"}, 1),
        ({"action": "<script>alert(1)</script>"}, 0),
    ):
        page = admin.get("/audit", **query)
        assert page.text.count("<td><time") == count, query
        assert "<script>alert" not in page.text


def test_pages_of_the_log(shop: Shop, admin: Browser) -> None:
    written(shop, 120)
    seen, query = 0, ""
    for expected in (50, 50, 21):
        page = admin.get(f"/audit{query}")
        assert page.text.count("<td><time") == expected
        seen += expected
        query = page.text.partition('rel="next" href="/console/audit')[2].partition('"')[0].replace("&amp;", "&")
    assert query == ""


def test_rare_entries_are_found_page_by_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "AUDIT_WALKED_MAX", 10)
    written(shop, 3, action="rare")
    written(shop, 25)
    found, before_id, rounds = [], None, 0
    while rounds == 0 or before_id is not None:
        with shop.database.reading() as tx:
            page = audit.found(tx, shop.org_id, Filter(305, "rare"), limit=2, before_id=before_id)
        found += page.entries
        before_id, rounds = page.before_id, rounds + 1
    assert ([entry.action for entry in found], rounds) == (["rare"] * 3, 4)


@pytest.mark.parametrize("query", [{}, {"action": "launch"}, {"person": "admin@example.com", "kind": "campaign"}])
def test_a_page_takes_as_many_statements_however_long_the_log(
    shop: Shop, front: Front, admin: Browser, query: dict[str, str]
) -> None:
    statements: list[str] = []
    for engine in _engines(front):
        event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    counts = []
    for _ in range(2):
        written(shop, 60)
        statements.clear()
        assert admin._once("GET", "/console/audit", params=query).status_code == 200
        counts.append(len([one for one in statements if one.startswith("SELECT")]))
    assert counts[0] == counts[1] <= 7


def _engines(front: Front) -> list[Any]:
    app: Any = front.site._console
    log, *_ = app._router.find("/console/audit")
    return [log._parts.back_office._database.engine]


def test_a_file_runs_nothing(shop: Shop, admin: Browser) -> None:
    written(shop, subject="=HYPERLINK(1)", action="+cmd|' /C calc'!A0", after={"name": "=1+1"})
    answer = admin._once("GET", "/console/audit.csv")
    assert "attachment" in answer.headers["content-disposition"]
    head, first, *_ = list(csv.reader(io.StringIO(answer.text)))
    assert head[:3] == ["when", "who", "from"]
    assert first[3:6] == ["'+cmd|' /C calc'!A0", "campaign", "'=HYPERLINK(1)"]
    assert not [cell for cell in first if cell[:1] in "=+-@\t\r" and cell]


def test_failed_sign_ins_are_recorded_but_not_without_end(front: Front, shop: Shop, people: dict[Role, int]) -> None:
    browser = Browser(front)
    for number in range(FAILED_SIGN_INS_NOTED_MAX + 2):
        browser.post("/sign-in", email="admin@example.com", password=f"wrong{number}")
        shop.clock.ms += 60_000
    browser.post("/sign-in", email="unknown@example.com", password="wrong")
    failed = _settled(shop, FAILED_SIGN_INS_NOTED_MAX)
    assert {(entry.actor, entry.subject_id, entry.action) for entry in failed} == {
        ("admin@example.com", str(people["admin"]), "sign-in failed")
    }
    assert "wrong0" not in str(failed)


def _settled(shop: Shop, count: int) -> list[audit.Entry]:
    """The entries once as many are there: failures are written down after the answer."""
    found: list[audit.Entry] = []
    for _ in range(200):
        with shop.database.reading() as tx:
            found = audit.entries(tx, shop.org_id, limit=100)
        if len(found) >= count:
            break
        time.sleep(0.01)
    time.sleep(0.05)
    return found


def test_another_orgs_log_is_not_seen(front: Front, shop: Shop, admin: Browser) -> None:
    with shop.database.writing() as tx:
        actor = Actor(org_id=9, user_id=1, email="b@example.com", address="::1", request_id="r", now_ms=1)
        audit.record(tx, actor, "launch", ("campaign", 1))
    assert "b@example.com" not in admin.get("/audit").text
    assert "b@example.com" not in admin.get("/audit.csv").text


def test_everything_that_is_posted_is_recorded(front: Front) -> None:
    """Prevents the change that nobody finds again: what serves a POST leads to `audit.record`."""
    silent = [
        route.path
        for route in routes(front)
        if "POST" in route.methods and not (route.path in CHANGE_NOTHING or route.path.endswith(PREVIEW) or _records(route))
    ]
    assert not silent, "record what is done (store/audit.py), or say in CHANGE_NOTHING why nothing is"


def _records(route: Route) -> bool:
    """Whether the code behind a POST leads to `audit.record`, as far as names lead."""
    seen: set[int] = set()
    left: list[Any] = [route.resource.on_post, *vars(route.resource).values()]
    while left:
        one = left.pop()
        one = getattr(one, "__func__", one)
        one = getattr(one, "func", one)
        if one is audit.record:
            return True
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, FunctionType) and one.__module__.startswith("couponry."):
            left += _named_in(one)
        elif isinstance(one, type) or type(one).__module__.startswith("couponry.console"):
            kind = one if isinstance(one, type) else type(one)
            if kind.__module__.startswith("couponry.") and kind is not type(route.resource):
                left += [value for name, value in vars(kind).items() if isinstance(value, FunctionType) and name[:2] != "__"]
    return False


def _named_in(function: FunctionType) -> Iterator[Any]:
    """What a function names: of its module, of modules it imports, and of its own class."""
    module = sys.modules[function.__module__]
    owner = getattr(module, function.__qualname__.partition(".")[0], None)
    tree = ast.parse(dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield vars(module).get(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            holder = owner if node.value.id == "self" else vars(module).get(node.value.id)
            if isinstance(holder, ModuleType | type):
                yield getattr(holder, node.attr, None)


def test_subjects_have_the_pages_that_they_are_linked_to(front: Front) -> None:
    served = {re.sub(r"\{[^}]*\}$", "", route.path): route.resource.NEEDS for route in routes(front) if "GET" in route.methods}
    for path, needs in subjects.PAGES.values():
        assert served[f"/console{path}"] in {needs, Permission.BE_SIGNED_IN}, path


def test_the_guard_sees(front: Front) -> None:
    page, *_ = [route for route in routes(front) if route.path == "/console/audit"]
    silent = SimpleNamespace(on_post=page.resource.on_get)
    assert not _records(Route("/", silent, frozenset()))
