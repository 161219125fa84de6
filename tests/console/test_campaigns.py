"""Campaign Manager: from a name to a launch, and everything that may come between."""

from typing import Any

from sqlalchemy import select

from couponry.core.roles import Role
from couponry.store import schema as t
from couponry.store.audit import entries
from tests.api.shop import Shop
from tests.console.browser import Browser, Page

TERMS = {
    "description": "Monsoon 15",
    "discountType": "PERC",
    "discountValue": "15",
    "discountUpto": "200",
    "minBillAmount": "500",
    "clientHandlingType": "DISC_CODE",
    "randomCodeLength": "10",
    "alphaNumeric": "y",
    "unambiguousCode": "y",
    "validTillDate": "2031-04-30",
    "expiryStrategyType": "SERIES_EXPIRY",
    "days": ["6", "0"],
    "doNotResendExistingVoucher": "y",
}

MESSAGE = {
    "send": "y",
    "smsTemplate": "Hi {{first_name}}: {{voucher_code}}",
    "shortSMSTemplate": "{{voucher_code}}",
    "reminders": "",
}


def rows(shop: Shop, table: Any, *columns: str) -> list[tuple[Any, ...]]:
    with shop.database.reading() as tx:
        wanted = select(*(table.c[name] for name in columns)).where(table.c.org_id == shop.org_id)
        return [tuple(row) for row in tx.rows(wanted, {})]


def acts(shop: Shop) -> list[str]:
    with shop.database.reading() as tx:
        return [entry.action for entry in entries(tx, shop.org_id, limit=50)]


class Flow:
    """One draft, filled in step by step."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        page = browser.post("/campaigns/drafts")
        self.at = str(page.response.url.path).removeprefix("/console").removesuffix("/campaign")

    def step(self, name: str, /, **fields: Any) -> Page:
        version = self.browser.get(f"{self.at}/{name}").text.partition('name="version" value="')[2].partition('"')[0]
        return self.browser.post(f"{self.at}/{name}", **{"version": version, **fields})

    def ready(self, whom: str = "everyone", terms: dict[str, Any] | None = None, **campaign: str) -> "Flow":
        self.step("campaign", **{"name": "Monsoon", "description": "Rain", "starts_local": "", "ends_local": "", **campaign})
        self.step("terms", **{**TERMS, **(terms or {})})
        self.step("audience", whom=whom, count="1")
        self.step(
            "message",
            send="y",
            smsTemplate="Hi {{first_name}}: {{voucher_code}}",
            shortSMSTemplate="{{voucher_code}}",
            reminders="",
        )
        return self

    def launch(self, **fields: str) -> Page:
        version = self.browser.get(f"{self.at}/check").text.partition('name="version" value="')[2].partition('"')[0]
        return self.browser.post(f"{self.at}/launch", **{"version": version, "when": "now", **fields})


def test_from_a_name_to_a_launch(shop: Shop, browsers: dict[Role, Browser]) -> None:
    flow = Flow(browsers["marketer"]).ready()
    check = browsers["marketer"].get(f"{flow.at}/check")
    assert "15 % off, at most INR 200, on bills from INR 500." in check.text
    assert "Saturdays and Sundays" in check.text
    page = flow.launch()
    assert page.status == 200, page.text
    assert "Launched." in page.text
    assert [row[0] for row in rows(shop, t.campaign, "name")] == ["Monsoon"]
    ((state, job_id, campaign_id, series_id),) = rows(shop, t.launch, "state", "job_id", "campaign_id", "series_id")
    assert state == "launched"
    assert (series_id, campaign_id) in rows(shop, t.series, "id", "campaign_id")
    assert rows(shop, t.job, "id", "series_id", "kind") == [(job_id, series_id, "issue")]
    assert acts(shop)[:3] == ["launch", "create campaign", "create series"]
