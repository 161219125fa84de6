"""What costs much is asked for by one person and allowed by another, once."""

import asyncio
import threading
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text

from couponry.console import approvals as pages
from couponry.console.carrying import Carried
from couponry.console.parts import ConsoleParts
from couponry.core.limits import ANSWER_KEPT_MS_MAX, APPROVAL_PENDING_MS_MAX
from couponry.core.problem import Problem
from couponry.core.roles import Role
from couponry.core.second_person import needs_second_person
from couponry.store import approvals, audit, registry
from couponry.store import schema as t
from couponry.store.approvals import Approval
from couponry.store.audit import Actor
from couponry.store.engine import StoreError, WriteTransaction
from tests.api.shop import Front, Shop
from tests.console.browser import Browser

Browsers = dict[Role, Browser]
People = dict[Role, int]


class Rows:
    """A carrier that writes a row, unless the request says that it cannot."""

    def carry_out(self, tx: WriteTransaction, actor: Actor, approval: Approval) -> Carried | Problem | None:
        tx.connection.execute(insert(t.zone).values(org_id=actor.org_id, id=9_000 + approval.id, code="made", name="made"))
        if approval.request.get("fails"):
            return Problem("conflict", "it is too late")
        return Carried("/approvals", "Made a zone.")

    async def follow_up(self, _parts: ConsoleParts, _actor: Actor, _approval: Approval) -> Carried | Problem:
        raise AssertionError("it was carried out with the decision")


class Ledger:
    """A carrier of what is done after the decision; it answers what the request says, in turn."""

    def __init__(self, *answers: Carried | Problem | Exception) -> None:
        self.answers, self.keys = list(answers), list[str]()

    def carry_out(self, _tx: WriteTransaction, _actor: Actor, _approval: Approval) -> None:
        return None

    async def follow_up(self, _parts: ConsoleParts, _actor: Actor, approval: Approval) -> Carried | Problem:
        await asyncio.sleep(0)
        self.keys.append(approval.key)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def actor(shop: Shop, user_id: int) -> Actor:
    return Actor(org_id=shop.org_id, user_id=user_id, email="x@example.com", address="::1", request_id="r", now_ms=shop.clock.ms)


def asked(shop: Shop, user_id: int, kind: str = "rows", **request: Any) -> int:
    with shop.database.writing() as tx:
        return approvals.ask(
            tx,
            actor(shop, user_id),
            kind=kind,
            subject=("campaign", 7001),
            amount=Decimal("250000.50"),
            summary="Launch <b>Monsoon</b>",
            request=request,
        )


def known(shop: Shop, approval_id: int) -> Approval:
    with shop.database.reading() as tx:
        found = approvals.read(tx, shop.org_id, approval_id)
    assert found
    return found


def actions(shop: Shop) -> list[str]:
    with shop.database.reading() as tx:
        return [entry.action for entry in audit.entries(tx, shop.org_id, limit=100) if entry.action != "sign in"]


def zones(shop: Shop) -> int:
    with shop.database.reading() as tx:
        return len(tx.rows(select(t.zone.c.id).where(t.zone.c.org_id == shop.org_id, t.zone.c.code == "made"), {}))


@pytest.fixture(autouse=True)
def _carriers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "CARRIERS", {"rows": Rows()})


@pytest.mark.parametrize(
    ("amount", "above", "is_needed"),
    [
        ("100", 100, False),
        ("100.01", 100, True),
        (None, 100, True),
        ("0", 0, True),
        (None, 0, True),
        (None, -1, False),
        ("9999999", -1, False),
    ],
)
def test_when_a_second_person_is_needed(amount: str | None, above: int, is_needed: bool) -> None:
    assert needs_second_person(None if amount is None else Decimal(amount), above) is is_needed


def test_a_second_person_approves_once(shop: Shop, browsers: Browsers, people: People) -> None:
    number = asked(shop, people["marketer"])
    listed = browsers["admin"].get("/approvals")
    assert "Launch &lt;b&gt;Monsoon" in listed.text
    assert "INR 250,000.50" in listed.text
    own = browsers["marketer"].get(f"/approvals/{number}")
    assert "/decide" not in own.text
    assert "a second person decides" in browsers["marketer"].post(f"/approvals/{number}/decide", verdict="approve").text
    assert zones(shop) == 0
    page = browsers["admin"].post(f"/approvals/{number}/decide", verdict="approve", note="fine")
    assert "Made a zone." in page.text
    again = browsers["admin"].post(f"/approvals/{number}/decide", verdict="refuse", note="no")
    assert "this is approved already" in again.text
    it = known(shop, number)
    assert (it.state, it.decided_by, it.note) == ("approved", people["admin"], "fine")
    assert it.carried_ms == shop.clock.ms
    assert zones(shop) == 1
    assert actions(shop) == ["could not decide", "approve", "could not decide", "ask for approval"]


def test_a_refusal_says_why(shop: Shop, browsers: Browsers, people: People) -> None:
    number = asked(shop, people["marketer"])
    assert "say why you refuse" in browsers["admin"].post(f"/approvals/{number}/decide", verdict="refuse").text
    assert known(shop, number).state == "pending"
    browsers["admin"].post(f"/approvals/{number}/decide", verdict="refuse", note="too dear")
    assert (known(shop, number).state, zones(shop)) == ("refused", 0)
    assert "too dear" in browsers["marketer"].get(f"/approvals/{number}").text


def test_what_cannot_be_carried_out_stays_undecided(shop: Shop, browsers: Browsers, people: People) -> None:
    number = asked(shop, people["marketer"], fails=True)
    page = browsers["admin"].post(f"/approvals/{number}/decide", verdict="approve")
    assert "it is too late" in page.text
    assert (known(shop, number).state, zones(shop)) == ("pending", 0)
    assert actions(shop)[0] == "could not decide"


def test_what_was_approved_and_not_done_is_done_again_under_its_key(
    shop: Shop, browsers: Browsers, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(RuntimeError("power lost"), Problem("refused", "the series is full"), Carried("/approvals", "Given."))
    monkeypatch.setattr(pages, "CARRIERS", {"goodwill": ledger})
    number = asked(shop, people["support"], "goodwill")
    admin = browsers["admin"]
    assert admin.post(f"/approvals/{number}/decide", verdict="approve").status == 500
    assert "approved, not yet carried out" in admin.get(f"/approvals/{number}").text
    assert "the series is full" in admin.post(f"/approvals/{number}/carry-out").text
    assert known(shop, number).carried_ms is None
    assert "Given." in admin.post(f"/approvals/{number}/carry-out").text
    assert ledger.keys == [f"approval-{number}"] * 3
    assert known(shop, number).carried_ms
    assert "nothing left" in admin.post(f"/approvals/{number}/carry-out").text
    assert actions(shop)[0] == "carried out"


def test_what_the_ledger_has_forgotten_is_not_carried_out_again(
    shop: Shop, browsers: Browsers, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is forgotten guards nothing: the coupon would be given twice."""
    monkeypatch.setattr(pages, "CARRIERS", {"goodwill": Ledger(RuntimeError("power lost"))})
    number = asked(shop, people["support"], "goodwill")
    browsers["admin"].post(f"/approvals/{number}/decide", verdict="approve")
    it = known(shop, number)
    assert it.is_owed(shop.clock.ms + ANSWER_KEPT_MS_MAX - 1)
    assert not it.is_owed(shop.clock.ms + ANSWER_KEPT_MS_MAX)


def test_only_who_asked_withdraws(shop: Shop, browsers: Browsers, people: People) -> None:
    number = asked(shop, people["support"])
    assert "only who asked" in browsers["admin"].post(f"/approvals/{number}/withdraw").text
    assert "Withdrawn." in browsers["support"].post(f"/approvals/{number}/withdraw").text
    assert "this is withdrawn already" in browsers["admin"].post(f"/approvals/{number}/decide", verdict="approve").text


def test_those_who_decide_nothing_see_their_own(shop: Shop, browsers: Browsers, people: People) -> None:
    mine, other = asked(shop, people["support"]), asked(shop, people["marketer"])
    assert browsers["support"].get(f"/approvals/{mine}").status == 200
    assert browsers["support"].get(f"/approvals/{other}").status == 404
    assert browsers["support"].get("/approvals").text.count("/console/approvals/") == 1
    assert browsers["auditor"].get(f"/approvals/{other}").status == 200
    assert browsers["support"].post(f"/approvals/{other}/decide", verdict="approve").status == 403


@pytest.mark.parametrize("number", ["0", "999", "x", "9" * 40, "%00", "-1"])
def test_what_is_not_there(admin: Browser, number: str) -> None:
    assert admin.get(f"/approvals/{number}").status == 404
    assert admin.post(f"/approvals/{number}/decide", verdict="approve").status == 404


def test_another_orgs_is_not_there(shop: Shop, browsers: Browsers, people: People) -> None:
    with shop.database.writing() as tx:
        org_id = registry.create_org(tx, name="B", time_zone="UTC", currency="INR", country_code="91", now_ms=1)
        assert isinstance(org_id, int)
        user_id = registry.create_user(tx, org_id, email="b@example.com", password_hash="x", role="admin")
        assert isinstance(user_id, int)
        who = Actor(org_id=org_id, user_id=user_id, email="b", address="::1", request_id="r", now_ms=shop.clock.ms)
        more: dict[str, Any] = {"kind": "rows", "subject": ("campaign", 1), "amount": None, "summary": "Theirs", "request": {}}
        number = [approvals.ask(tx, who, **more) for _ in range(3)][-1]
    for number_too in (number, number - 1):
        assert browsers["admin"].get(f"/approvals/{number_too}").status == 404
        for act in ("decide", "withdraw", "carry-out"):
            assert browsers["admin"].post(f"/approvals/{number_too}/{act}", verdict="approve").status == 404
    assert "Theirs" not in browsers["admin"].get("/approvals", show="all").text


def test_who_approves_is_led_where_they_may_go(
    shop: Shop, browsers: Browsers, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A marketer approves a goodwill coupon, and may not see whose it is."""
    monkeypatch.setattr(pages, "CARRIERS", {"goodwill": Ledger(Carried("/care/coupons/1", "Given."))})
    number = asked(shop, people["support"], "goodwill")
    page = browsers["marketer"].post(f"/approvals/{number}/decide", verdict="approve")
    assert page.response.url.path == f"/console/approvals/{number}"
    assert "Given." in page.text


def test_nobody_decides_on_what_is_old(shop: Shop, people: People) -> None:
    number = asked(shop, people["marketer"])
    shop.clock.ms += APPROVAL_PENDING_MS_MAX + 1
    with shop.database.writing() as tx:
        assert isinstance(approvals.undecided(tx, actor(shop, people["admin"]), number), Problem)
        assert approvals.pending(tx, shop.org_id, shop.clock.ms, limit=9) == []
    asked(shop, people["marketer"])
    assert known(shop, number).state == "expired"


def test_the_database_knows_two_people_too(shop: Shop, people: People) -> None:
    number = asked(shop, people["marketer"])
    with pytest.raises(StoreError), shop.database.writing() as tx:
        tx.connection.execute(
            text("UPDATE approval SET state = 'approved', decided_by = asked_by WHERE org_id = :org AND id = :id"),
            {"org": shop.org_id, "id": number},
        )


def test_of_two_who_decide_at_once_one_does(shop: Shop, people: People) -> None:
    number, start = asked(shop, people["support"]), threading.Barrier(2)
    done: list[object] = []

    def decide(user_id: int, approves: bool) -> None:
        start.wait()
        with shop.database.writing() as tx:
            done.append(approvals.decide(tx, actor(shop, user_id), number, "because", approves=approves))

    deciders = [threading.Thread(target=decide, args=pair) for pair in ((people["admin"], True), (people["marketer"], False))]
    for decider in deciders:
        decider.start()
    for decider in deciders:
        decider.join()
    assert sorted(type(one).__name__ for one in done) == ["Approval", "Problem"]


@pytest.mark.parametrize("path", ["/approvals", "/approvals?show=all", "/people", "/account"])
def test_a_page_takes_as_many_statements_however_much_there_is(
    shop: Shop, front: Front, admin: Browser, people: People, path: str
) -> None:
    app: Any = front.site._console
    engine = app._router.find("/console/audit")[0]._parts.back_office._database.engine
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    counts = []
    for _ in range(2):
        for _ in range(10):
            asked(shop, people["marketer"])
        statements.clear()
        assert admin._once("GET", f"/console{path}").status_code == 200
        counts.append(len([one for one in statements if one.startswith("SELECT")]))
    assert counts[0] == counts[1] <= 6
