"""The shop that people look after in their browsers: what there is in it, and what its tills do meanwhile."""

from hashlib import md5
from types import TracebackType
from typing import Any, Final, Self

import httpx

from couponry.core.roles import ROLES
from tests.browser.person import PASSWORD
from tests.e2e.installation import Installation, Server
from tests.e2e.processes import wait_until

HOSTILE: Final = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'{{7*7}}"
"""Text that would run if a page took it for its own."""
MIRA: Final = "919812300001"
TURNED_AWAY: Final = "919812300003"
"""Whom the shop's gateway knows nothing about."""
_CUSTOMERS: Final[tuple[dict[str, object], ...]] = (
    {"firstName": "Mira", "lastName": "Rao", "mobile": MIRA, "email": "mira@example.com", "externalId": "CRM-77"},
    {"firstName": "Arun", "lastName": "Iyer", "mobile": "919812300002", "externalId": "CRM-78", "transactionCount": 4},
    {"firstName": HOSTILE, "lastName": HOSTILE, "mobile": TURNED_AWAY, "externalId": "CRM-79"},
    *[dict[str, object](firstName="Asha", lastName=f"No. {number}", mobile=f"91981231{number:04}") for number in range(30)],
)
_SERIES: Final[tuple[dict[str, object], ...]] = (
    {
        "seriesCode": "MONSOON",
        "description": "Monsoon: 15 percent off",
        "discountType": "PERC",
        "discountValue": 15,
        "discountUpto": 200,
        "clientHandlingType": "DISC_CODE",
        "minBillAmount": 200,
        "maxCreate": 500,
        "smsTemplate": "Hello {{first_name}}, here is 15% off: {{voucher_code}}",
    },
    {
        "seriesCode": "SORRY",
        "description": "Sorry: a hundred off",
        "seriesType": "GOODWILL",
        "discountType": "ABS",
        "discountValue": 100,
        "clientHandlingType": "DISC_CODE",
        "isMultipleVouchersPerUserAllowed": True,
    },
    {
        "seriesCode": "HOSTILE",
        "description": HOSTILE,
        "info": HOSTILE,
        "discountType": "ABS",
        "discountValue": 5,
        "clientHandlingType": "DISC_CODE",
        "smsTemplate": HOSTILE.replace("{{7*7}}", "{{voucher_code}}"),
    },
)


class Shop(Installation):
    """An org with a till and a person of each role."""

    org_id = 0

    def open(self) -> Self:
        self.run("db", "upgrade")
        org = self.run("org", "create", "--name", "Shop", "--timezone", "Asia/Kolkata", "--currency", "INR")
        self.org_id = org["orgId"]
        here = ("--org", str(self.org_id))
        for till, store in (("till1", "blr01"), ("till2", "mum01")):
            self.run("till", "create", *here, "--code", till, "--password", "123", "--store", store)
        for role in ROLES:
            self.run("user", "create", *here, "--email", f"{role}@example.com", "--password", PASSWORD, "--role", role)
        self.run("user", "create", *here, "--email", "second@example.com", "--password", PASSWORD, "--role", "marketer")
        self.load("customers", self.org_id, _CUSTOMERS)
        self.load("series", self.org_id, _SERIES)
        coupons = [{"seriesCode": "MONSOON", "code": f"MON-{number:03}"} for number in range(20)]
        for coupon, mobile in zip(coupons, [MIRA, MIRA, "919812300002", TURNED_AWAY], strict=False):
            coupon["customerMobile"] = mobile
        hostile = {"seriesCode": "HOSTILE", "code": "HOSTILE-1", "customerMobile": TURNED_AWAY}
        self.load("coupons", self.org_id, [*coupons, hostile])
        return self

    def set(self, **settings: object) -> None:
        """Settings of the org."""
        self.run("org", "set", "--org", str(self.org_id), *(f"{name}={value}" for name, value in settings.items()))

    def number(self, table: str, where: str) -> int:
        """The id of a row, read around the product."""
        return int(self.query(f"SELECT id FROM {table} WHERE org_id = {self.org_id} AND {where}")[0][0])


class Tills:
    """What the shop's own systems ask of a running server."""

    def __init__(self, shop: Shop, server: Server) -> None:
        self.shop = shop
        self.url = f"http://127.0.0.1:{server.port}"
        secret = md5(b"123").hexdigest()  # noqa: S324 - the protocol's own
        self._till = httpx.Client(base_url=self.url, auth=("till1", secret), timeout=60)
        made = shop.run("client", "create", "--org", str(shop.org_id), "--name", "crm", "--till", "till1", "--admin")
        token = httpx.post(f"{self.url}/v3/oauth/token/generate", json=made, timeout=60).json()["data"]["accessToken"]
        self._admin = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._till.close()
        self._admin.close()

    def redeem(self, *codes: str, mobile: str = MIRA, bill: str = "", amount: int = 900) -> int:
        """What is told to the till: 700 for a redemption."""
        body = {
            "redemptionRequestList": [{"code": code} for code in codes],
            "user": {"mobile": mobile},
            "transactionNumber": bill or f"INV-{codes[0]}",
            "billAmount": amount,
        }
        told: int = self._till.post("/v2/coupon/redeem", json=body).json()["redemptionStatus"]["code"]
        return told

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """Something of the admin's API, or of one that takes OAuth clients."""
        answer = self._admin.request(method, path, **more)
        assert answer.status_code < httpx.codes.BAD_REQUEST, answer.text
        return answer.json()

    def work(self) -> None:
        """A day's work: redemptions, refusals, a campaign, a job with messages, one of them in vain, and a webhook."""
        monsoon = self.shop.number("series", "code_key = 'MONSOON'")
        told = [self.redeem("MON-000"), self.redeem("MON-001", amount=50), self.redeem("MON-000", bill="INV-9")]
        assert told[0] == 700, told
        self.ask("POST", "/admin/v1/campaigns", json={"name": f"Rain {HOSTILE}", "description": HOSTILE, "seriesIds": [monsoon]})
        hook = {"name": "erp", "webHookUrl": "https://hooks.example.com/coupons", "eventNames": ["CouponRedeem", "CouponIssue"]}
        self.ask("POST", "/v3/webHooks", json=hook)
        audience = {"identifiers": {"type": "mobile", "values": [TURNED_AWAY, *(f"91981231{number:04}" for number in range(5))]}}
        self.finish("issue", seriesId=monsoon, audience=audience, send=True)

    def finish(self, kind: str, **request: Any) -> int:
        """A job, done."""
        number: int = self.ask("POST", f"/admin/v1/jobs/{kind}", json=request)["jobId"]
        wait_until(lambda: self.ask("GET", f"/admin/v1/jobs/{number}")["state"] in {"finished", "failed"}, "the job's end")
        return number
