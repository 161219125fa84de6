"""Stores, tills, clients and settings in the console."""

from couponry.core.roles import Role
from couponry.store import registry
from couponry.store.audit import entries
from tests.api.shop import Shop
from tests.console.browser import Browser


def actions(shop: Shop) -> list[str]:
    with shop.database.reading() as tx:
        return [each.action for each in entries(tx, shop.org_id, limit=5) if each.action != "sign in"]


def test_a_till_is_made_and_its_password_shown_once(shop: Shop, admin: Browser) -> None:
    page = admin.post("/stores", code="till9", store="blr09", zone="north", concept="")
    assert page.status == 200
    assert "Copy this now" in page.text
    listed = admin.get("/stores", code="blr09")
    assert "north" in listed.text
    assert actions(shop) == ["create till"]
    again = admin.post("/stores", code="till9", store="", zone="", concept="")
    assert again.status == 422
    assert "is taken" in again.text


def test_a_closed_till_may_not_ask(shop: Shop, admin: Browser) -> None:
    at = f"/stores/{shop.store_id}/tills/{shop.till_id}"
    assert "The till is closed." in admin.post(f"{at}/close").text
    login = shop.directory().login("till", "till1")
    assert login
    closed = shop.directory().till_identity(login)
    assert closed is None or not closed.is_active
    assert actions(shop) == ["close till"]
    assert "The till is open." in admin.post(f"{at}/open").text


def test_a_store_is_changed(shop: Shop, admin: Browser) -> None:
    at = f"/stores/{shop.store_id}"
    page = admin.post(at, name="<b>Main</b>", external_id="S-1", time_zone="Asia/Tokyo", is_active="y")
    assert "&lt;b&gt;Main" in page.text
    assert "<b>Main" not in page.text
    assert admin.post(at, name="x", time_zone="Mars/Base").status == 422


def test_a_client_is_made_closed_and_given_another_secret(shop: Shop, admin: Browser) -> None:
    page = admin.post("/credentials", name="web shop", till="till1", is_admin="y")
    assert "Copy this now" in page.text
    client_id = shop.client()
    assert "The client is closed." in admin.post(f"/credentials/{client_id}/close").text
    assert "Copy this now" in admin.post(f"/credentials/{client_id}/secret").text
    assert actions(shop) == ["secret client", "close client", "create client"]
    assert admin.post("/credentials", name="x", till="nowhere").status == 422


def test_settings_are_changed_and_secrets_never_shown(shop: Shop, admin: Browser) -> None:
    form = admin.get("/settings").form("/console/settings")
    changed = {**form, "mobileDigits": "9", "smsUrl": "json://user:unseen@sms.example/"}
    page = admin.post("/settings", **changed)
    assert "The settings are changed." in page.text
    assert "unseen" not in page.text
    with shop.database.reading() as tx:
        now = registry.read_settings(tx, shop.org_id)
        (entry, *_) = entries(tx, shop.org_id, limit=1)
    assert (now.mobile_digits, now.sms_url) == (9, "json://user:unseen@sms.example/")  # type: ignore[union-attr] # is there
    assert entry.after == {"mobileDigits": "9", "smsUrl": "***"}
    assert admin.post("/settings", **{**form, "mobileDigits": "99"}).status == 422


def test_others_see_or_do_not(shop: Shop, browsers: dict[Role, Browser]) -> None:
    for path in ("/stores", "/credentials", "/settings", f"/stores/{shop.store_id}"):
        assert [browsers[role].get(path).status for role in browsers] == [200, 403, 403, 200]
        assert browsers["auditor"].post(path).status == 403


def test_what_is_not_there(admin: Browser) -> None:
    for path in ("/stores/999999", "/stores/x", f"/stores/{'9' * 30}"):
        assert admin.get(path).status == 404
    assert admin.post("/stores/1/tills/999999/close").status == 404
    assert admin.post("/credentials/999999/secret").status == 404
    assert admin.post("/credentials/1/burn").status == 404
