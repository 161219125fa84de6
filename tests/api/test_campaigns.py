"""Campaigns over the admin API, and what they do to their series."""

from typing import Any

import pytest

from tests.api.admins import KEY, TOKEN, Admin
from tests.api.shop import NOW_MS, Front, Shop
from tests.api.test_series import PATH as SERIES
from tests.api.test_series import change, create, read

DAY_MS = 24 * 3600 * 1000
PATH = "/campaigns"


@pytest.fixture
def admin(shop: Shop, front: Front) -> Admin:
    return Admin(shop, front)


def made(admin: Admin, **fields: Any) -> dict[str, Any]:
    response = admin.ask("POST", PATH, json={"name": "Monsoon", **fields})
    assert response.status_code == 200, response.text
    campaign: dict[str, Any] = response.json()
    return campaign


def refused(admin: Admin, method: str, path: str, **more: Any) -> tuple[int, int | str]:
    """HTTP status and code of a refusal, which is a problem detail."""
    response = admin.ask(method, path, **more)
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem.keys() == {"title", "status", "code", "detail", "type"}
    assert problem["status"] == response.status_code
    return response.status_code, problem["code"]


def test_create_and_read(shop: Shop, front: Front, admin: Admin) -> None:
    one, two = create(front)["id"], create(front)["id"]
    sent = {"description": "Rain", "startsAt": "2031-03-01T00:00:00Z", "endsAt": "2031-05-01", "seriesIds": [two, str(one), one]}
    campaign = made(admin, **sent)
    assert campaign == {
        "id": 7001,
        "name": "Monsoon",
        "description": "Rain",
        "startsAt": "2031-03-01T05:30:00+05:30",
        "endsAt": "2031-05-01T00:00:00+05:30",
        "state": "ACTIVE",
        "createdAt": "2031-03-10T18:20:00+05:30",
        "seriesIds": [one, two],
    }
    assert admin.ask("GET", f"{PATH}/7001").json() == campaign
    assert [each["campaignId"] for each in read(front, ids=f"{one},{two}")] == [7001, 7001]
    least = made(admin)
    assert (least["description"], least["startsAt"], least["endsAt"], least["seriesIds"]) == ("", None, None, [])


@pytest.mark.parametrize(
    ("http", "code", "fields"),
    [
        (400, "invalid", {"name": " "}),
        (400, "invalid", {"name": "x" * 256}),
        (400, "invalid", {"name": "a\0b"}),
        (400, "invalid", {"description": "x" * 1001}),
        (400, 629, {"name": 7}),
        (400, 629, {"startsAt": "soon"}),
        (400, 629, {"endsAt": 1930913400000}),
        (400, 629, {"seriesIds": "all"}),
        (400, "invalid", {"endsAt": "2031-03-10T12:50:00Z"}),
        (400, "invalid", {"startsAt": "2031-06-01", "endsAt": "2031-05-01"}),
        (400, "invalid", {"seriesIds": [4711]}),
        (400, "invalid", {"seriesIds": ["x"]}),
        (400, "invalid", {"seriesIds": [10**30]}),
        (400, "invalid", {"seriesIds": list(range(1, 1002))}),
    ],
)
def test_what_cannot_be_created(admin: Admin, http: int, code: int | str, fields: dict[str, Any]) -> None:
    assert refused(admin, "POST", PATH, json={"name": "Monsoon", **fields}) == (http, code)
    assert admin.ask("GET", PATH).json() == {"items": [], "next": None}


def test_bodies_that_are_no_object(admin: Admin) -> None:
    for body in (b"", b"{", b"\xff", b"[" * 100_000):
        assert refused(admin, "POST", PATH, content=body) == (400, 400)
    assert refused(admin, "POST", PATH, content=b"[]") == (400, 629)
    assert refused(admin, "POST", PATH, json={}) == (400, "invalid")


def test_unknown_campaigns(admin: Admin) -> None:
    for wrong in ("7001", "0", "9" * 40):
        assert refused(admin, "GET", f"{PATH}/{wrong}") == (404, "unknown")
        assert refused(admin, "PATCH", f"{PATH}/{wrong}", json={"name": "x"}) == (404, "unknown")
        assert refused(admin, "POST", f"{PATH}/{wrong}/pause") == (404, "unknown")


def test_change(shop: Shop, front: Front, admin: Admin) -> None:
    one, two, three = (create(front)["id"] for _ in range(3))
    campaign = made(admin, description="Rain", endsAt="2031-05-01", seriesIds=[one, two])
    path = f"{PATH}/{campaign['id']}"
    assert admin.ask("PATCH", path, json={"name": " Winter "}).json() == {**campaign, "name": "Winter"}
    changed = admin.ask("PATCH", path, json={"endsAt": None, "seriesIds": [two, three], "description": None}).json()
    assert changed == {**campaign, "name": "Winter", "description": "", "endsAt": None, "seriesIds": [two, three]}
    assert [each["campaignId"] for each in read(front, ids=f"{one},{two},{three}")] == [7001, 7001, -1]
    other = made(admin)
    assert refused(admin, "PATCH", f"{PATH}/{other['id']}", json={"seriesIds": [one, two]}) == (409, "conflict")
    assert admin.ask("GET", f"{PATH}/{other['id']}").json() == other


def test_pause_resume_end(shop: Shop, front: Front, admin: Admin) -> None:
    series = create(front, seriesCode="CAMP")["id"]
    path = f"{PATH}/{made(admin, seriesIds=[series])['id']}"

    def redeem() -> int:
        return int(front.redeem(shop.coupon(series="CAMP")).json()["redemptionStatus"]["code"])

    assert redeem() == 700
    for move, state, code in (
        ("pause", "PAUSED", 712),
        ("pause", "PAUSED", 712),
        ("resume", "ACTIVE", 700),
        ("end", "ENDED", 712),
        ("end", "ENDED", 712),
    ):
        assert admin.ask("POST", f"{path}/{move}").json()["state"] == state
        assert redeem() == code
    for method, way, body in (("POST", "/resume", None), ("POST", "/pause", None), ("PATCH", "", {"name": "x"})):
        assert refused(admin, method, path + way, json=body) == (409, "ended")
    assert admin.ask("GET", path).json()["state"] == "ENDED"


def test_end_of_time(shop: Shop, front: Front, admin: Admin) -> None:
    """A campaign whose end has passed is over; it may be given a later one."""
    series = create(front, seriesCode="CAMP")["id"]
    path = f"{PATH}/{made(admin, endsAt='2031-03-11T18:20:00+05:30', seriesIds=[series])['id']}"
    codes = [shop.coupon(series="CAMP") for _ in range(3)]
    shop.clock.ms = NOW_MS + DAY_MS
    admin = _admin_later(front)
    assert admin.ask("GET", path).json()["state"] == "ACTIVE"
    assert front.redeem(codes[0]).json()["redemptionStatus"]["code"] == 700
    shop.clock.ms += 1
    assert admin.ask("GET", path).json()["state"] == "ENDED"
    assert front.redeem(codes[1]).json()["redemptionStatus"]["code"] == 712
    assert refused(admin, "POST", f"{path}/resume") == (409, "ended")
    assert admin.ask("PATCH", path, json={"endsAt": "2031-06-01"}).json()["state"] == "ACTIVE"
    assert front.redeem(codes[2]).json()["redemptionStatus"]["code"] == 700


def test_list(shop: Shop, admin: Admin) -> None:
    ids = [made(admin, name=f"C{number}")["id"] for number in range(5)]
    admin.ask("POST", f"{PATH}/{ids[0]}/pause")
    admin.ask("POST", f"{PATH}/{ids[1]}/end")
    seen, cursor = [], None
    while True:
        page = admin.ask("GET", PATH, params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [each["id"] for each in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
        assert len(page["items"]) == 2
    assert seen == ids[::-1]
    by_state = {
        state: [each["id"] for each in admin.ask("GET", PATH, params={"state": state}).json()["items"]]
        for state in ("active", "PAUSED", "ENDED")
    }
    assert by_state == {"active": ids[:1:-1], "PAUSED": ids[:1], "ENDED": ids[1:2]}
    for query in ({"state": "ASLEEP"}, {"limit": 0}, {"limit": 501}, {"limit": "x"}, {"cursor": "abc"}, {"cursor": "-1"}):
        assert refused(admin, "GET", PATH, params=query) == (400, 629)


@pytest.mark.parametrize("campaign_id", ["abc", "-1", "%20"])
def test_ids_that_are_no_numbers(admin: Admin, campaign_id: str) -> None:
    for method, path in (("GET", ""), ("PATCH", ""), ("POST", "/pause")):
        assert refused(admin, method, f"{PATH}/{campaign_id}{path}", json={}) == (400, 400)


def test_number_in_a_series(front: Front, admin: Admin) -> None:
    """`campaignId` puts a series into a campaign that there is; any other number is only echoed."""
    one, two = made(admin), made(admin)
    unknown, known = create(front, campaignId=99), create(front, campaignId=one["id"])
    assert (unknown["campaignId"], known["campaignId"]) == (99, one["id"])
    assert admin.ask("GET", f"{PATH}/{one['id']}").json()["seriesIds"] == [known["id"]]
    assert change(front, known["id"], description="x")["campaignId"] == one["id"]
    assert change(front, known["id"], campaignId=two["id"])["campaignId"] == two["id"]
    assert admin.ask("GET", f"{PATH}/{one['id']}").json()["seriesIds"] == []
    assert change(front, known["id"], campaignId=-1)["campaignId"] == -1
    assert change(front, unknown["id"], campaignId=str(two["id"]))["campaignId"] == two["id"]
    admin.ask("PATCH", f"{PATH}/{two['id']}", json={"seriesIds": []})
    assert read(front, ids=unknown["id"])[0]["campaignId"] == -1


def test_no_till_may_enter(front: Front) -> None:
    response = front.ask("GET", f"/admin/v1{PATH}")
    assert (response.status_code, response.json()["code"]) == (403, 4000)
    assert front.ask("GET", SERIES).status_code == 200


def _admin_later(front: Front) -> Admin:
    """An admin whose token is of now."""
    again = Admin.__new__(Admin)
    token = front.ask("POST", TOKEN, json={"key": KEY, "secret": "pLz8"}, auth=None).json()["data"]
    again._front, again.headers = front, {"Authorization": f"Bearer {token['accessToken']}"}
    return again
