"""A shop with something of everything, and requests that meet it: bodies that succeed, and values that are known to it."""

import base64
import re
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from couponry.core.jobs import FileRole, JobFile, JobKind, Progress
from couponry.core.limits import FAILURE_WAIT_MS_MAX
from couponry.store.delivery_log import dead_letters
from couponry.store.folder import Folder
from couponry.store.jobs import Draft, advance_job, begin_job, create_job, read_job
from tests.api.admins import KEY, TOKEN, Admin
from tests.api.holdings import coupon_id, customer_id, series_id
from tests.api.shop import BASIC, MIRA, NOW_MS, Front, Raw, Shop
from tests.api.telling import attempt, tell

# Of a redemption that was made; the failed ones have -1.
REDEMPTION: Final = re.compile(rb'"redemptionId":"([0-9]+)"')
BASIC_HEADER: Final = f"Basic {base64.b64encode(':'.join(BASIC).encode()).decode()}"
MOBILES: Final = [f"9198123{number:05}" for number in range(1, 13)]
OTHERWISE_UNKNOWN: Final = "919812377777"
"""Nobody burns this one's validation code, or deletes him."""
SERIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "MON": {},
    "MANY": {"isMultipleUseAllowed": True, "sameUserMultipleRedeem": True, "maxRedeem": 500},
    "ANY": {
        "anyUser": True,
        "isMultipleVouchersPerUserAllowed": True,
        "maxVouchersPerUser": 5,
        "doNotResendExistingVoucher": True,
    },
    "SHARED": {"clientHandlingType": "GENERIC", "genericCode": "WELCOME", "anyUser": True, "maxCreate": 100},
    "POOL": {"clientHandlingType": "DISC_CODE_PIN", "anyUser": True},
    "PAST": {"validTillDate": "2031-03-01"},
    "BILLS": {"minBillAmount": 500, "maxBillAmount": 1000, "anyUser": True, "redemptionPerCouponMaxLimit": 50},
    "CAMP": {"anyUser": True},
}
TERMS: Final = {"description": "Ten off", "discountType": "ABS", "discountValue": 10, "clientHandlingType": "DISC_CODE"}
OTP: Final = {"entityType": "MOBILE", "entityValue": MOBILES[0], "action": "COUPON", "channels": [{"type": "SMS"}]}
WEBHOOKS: Final = "/v3/webHooks"
HOOK: Final = {
    "webHookUrl": "https://hooks.example.com/",
    "eventNames": ["CouponRedeem"],
    "webHookHeaders": {"Authorization": "x"},
    "maxAllowedConnections": 2.5,
    "slaInSeconds": 5,
    "enrichment": {"till": True},
}
FILE: Final = "mobile\r\n919812300001\r\n"
REDEEMED_FORM: Final = {
    "customerIdentifier": "MOBILE",
    "couponIdentifier": "COUPON_CODE",
    "uploadHeaders": '{"redeemedDateInMillis": 0, "redeemedAt": 0, "mobile": 0, "couponCode": 0}',
}
SCALARS: Final[Mapping[str, list[Any]]] = {
    "billAmount": ["1800", 700.5, 0, "-1"],
    "amount": ["1800", "700"],
    "count": [1, 3, 40],
    "days": [1, 30],
    "limit": [1, 100, 500],
    "offset": [0, 1],
    "transactionNumber": ["B-1", "B-2", ""],
    "billNumber": ["B-1", "B-2"],
    "reason": ["CHARGEBACK", "CANCELLED", ""],
    "label": ["ACTIVE", "SUSPENDED"],
    "statusLabel": ["ACTIVE", "SUSPENDED"],
    "fraudStatus": ["CONFIRMED", "NONE", "NOT_FRAUD"],
    "status": ["Active_Unredeemed", "REDEEMED"],
    "source": ["INSTORE", "WEB_ENGAGE"],
    "loyaltyType": ["loyalty", "non_loyalty"],
    "identifierType": ["mobile", "id", "externalId"],
    "identifierName": ["mobile", "id", "externalId"],
    "type": ["mobile", "email", "externalId", "REGULAR"],
    "orgEntityType": ["TILL", "STORE", "ZONE", "CONCEPT"],
    "till": ["till1"],
    "key": [KEY],
    "secret": ["pLz8"],
    "details": ["true", "extended"],
    "includeReversedRedemptions": ["true", "false"],
    "showCouponSeries": ["true"],
    "includeIssualDetails": ["true"],
}
INSTANTS: Final[list[Any]] = [
    "2031-03-10T18:00:00+05:30",
    "2031-04-30",
    1_935_000_000_000,
    "2029-01-01 10:00:00",
    "1930913400000",
]
INSTANT_NAMES: Final = (
    "redemptionTime time expiryDate billingDate registeredOn createDate startsAt endsAt "
    "registeredFrom registeredTo validTillDateTime from to"
)


class Stock:
    """What the shop holds, and the bodies that requests may start from."""

    def __init__(self, shop: Shop, front: Front, folder: Folder) -> None:
        self.shop, self.front = shop, front
        admin = Admin(shop, front)
        self._bearer: str = admin.headers["Authorization"]
        self._furnish()
        redeemed = [front.redeem(code).json()["redemption"] for code in self.codes[:6]]
        self.redemptions = [int(item["redemptionId"]) for (item,) in redeemed]
        front.ask("POST", "/v2/otp/generate", json=OTP | {"entityValue": MOBILES[1]})
        shop.customers({"firstName": "Otto", "mobile": OTHERWISE_UNKNOWN})
        front.ask("POST", "/v2/otp/generate", json=OTP | {"entityValue": OTHERWISE_UNKNOWN})
        self.otp: str = front.ask("GET", "/v2/otp", params={"mobile": MOBILES[1], "scope": "COUPON"}).json()["code"]
        self.campaigns = [admin.ask("POST", "/campaigns", json=body).json()["id"] for body in self._campaign_bodies()]
        self.jobs = [admin.ask("POST", "/jobs/issue", json=body).json()["jobId"] for body in self._issue_bodies()]
        self._work(folder)
        self._tell()
        self.known = self._known()

    def _furnish(self) -> None:
        shop = self.shop
        for code, terms in SERIES.items():
            if code != "MON":  # every shop has it
                shop.series(seriesCode=code, **terms)
        for number, mobile in enumerate(MOBILES[4:]):
            shop.customers(
                {"firstName": f"N{number}", "mobile": mobile, "email": f"n{number}@example.com", "externalId": f"E{number}"}
            )
        self.codes = [shop.coupon() for _ in range(24)]
        self.codes += [shop.coupon(series=series) for series in ("MANY", "ANY", "BILLS", "PAST", "CAMP") for _ in range(3)]
        self.codes += [shop.coupon(mobile=mobile) for mobile in MOBILES[4:]]
        self.codes += [shop.coupon(series="POOL", mobile="") for _ in range(8)]
        self.series = {code: series_id(shop, code) for code in SERIES}
        self.customers = [customer_id(shop, mobile) for mobile in MOBILES]
        self.coupons = [coupon_id(shop, code) for code in self.codes]

    def _campaign_bodies(self) -> Iterable[dict[str, Any]]:
        yield {"name": "Spring", "seriesIds": [self.series["CAMP"]]}
        yield {"name": "Autumn", "startsAt": "2031-01-01T00:00:00Z", "endsAt": "2032-01-01T00:00:00Z"}

    def _issue_bodies(self) -> Iterable[dict[str, Any]]:
        yield {"seriesId": self.series["MON"], "count": 3}
        listed = {"identifiers": {"type": "mobile", "values": MOBILES[:2]}}
        yield {"seriesId": self.series["MON"], "audience": listed}

    def _work(self, folder: Folder) -> None:
        """As a worker would: each job has written a file of each role."""
        with self.shop.database.writing() as tx:
            sent = {"uploadedName": "a_1_5001.csv", "sentName": "a.csv"}
            draft = Draft(kind=JobKind.UPLOAD, series_id=self.series["POOL"], request=sent)
            uploads = [create_job(tx, self.shop.org_id, draft, NOW_MS)]
            for job_id in (*self.jobs, *uploads):
                job = read_job(tx, self.shop.org_id, job_id)
                assert job
                files = [folder.append(job, JobFile(role, f"{role}_{job_id}", 0), [b"a,b\r\n"]) for role in FileRole]
                progress = Progress(cursor={}, done=2, ok=1, failed=1, by_code={"701": 1}, total=9, files=tuple(files))
                advance_job(tx, begin_job(tx, job, NOW_MS), progress, now_ms=NOW_MS, took_ms=5)
        self.files = [f"{role}_{job_id}" for job_id in uploads for role in (FileRole.ERRORS, FileRole.DONE)]

    def _tell(self) -> None:
        """As a worker would: webhooks, enough to delete some, are told of what happens; one of them cannot be reached."""
        ask, body = self.front.ask, {"webHookUrl": "https://hooks.example.com/", "eventNames": ["CouponRedeem", "CouponRevoke"]}
        self.webhooks = [
            ask("POST", WEBHOOKS, json={**body, "name": name}).json()["data"]["webHookId"] for name in map(str, range(40))
        ]
        self.redemptions.append(int(self.front.redeem(self.codes[6]).json()["redemption"][0]["redemptionId"]))
        tell(self.shop)
        attempt(self.shop, 1, is_delivered=False)
        logged = ask("GET", f"{WEBHOOKS}/eventLog/refId/{self.shop.org_id}_{self.series['MON']}_{self.redemptions[-1]}")
        self.event: dict[str, Any] = logged.json()["data"][0]
        with self.shop.database.reading() as tx:
            self.letters = [each.id for each in dead_letters(tx, self.shop.org_id, limit=9)]

    def _known(self) -> dict[str, list[Any]]:
        codes = [*self.codes, "WELCOME", "NOSUCH"]
        series, redemptions, customers = [*self.series.values()], self.redemptions, self.customers
        ids = [*self.coupons[:8], *customers[:8], *series]
        customer = [f"mobile:{MOBILES[0]}", "CRM-77", f"id:{customers[0]}"]
        groups: dict[str, list[Any]] = {
            INSTANT_NAMES: INSTANTS,
            "code couponCode couponCodes": codes,
            "id value identifierValue": [*ids, MOBILES[0]],
            "couponId couponIds": self.coupons,
            "seriesId seriesIds series_id couponSeriesId ids": series,
            "redemptionId redemptionIds redemption_id couponRedemptions redemptions": redemptions,
            "customer_id issuedToIds intoId": customers,
            "campaign_id campaignId": self.campaigns,
            "job_id": self.jobs,
            "webhook_id target webHookId": self.webhooks,
            "coupon_id": self.coupons,
            "letter_id": self.letters,
            "redeemedSeriesIds notRedeemedSeriesIds": series,
            "mobile": MOBILES,
        }
        return {
            **SCALARS,
            **{name: values for names, values in groups.items() for name in names.split()},
            "email": ["mira@example.com", "n1@example.com"],
            "externalId": ["CRM-77", "E1"],
            "customer": customer,
            "name": self.files,
            "storeIds": [self.shop.store_id],
            "event_id": [self.event["eventId"]],
            "request_id": [self.event["requestId"]],
            "ref_id": [self.event["refId"]],
            "eventNames": ["CouponIssue", "CouponRevoke"],
            "webHookUrl": ["https://hooks.example.com/", "http://127.0.0.1/"],
            "uploadId": [1],
            "orgEntityIds": [self.shop.till_id, self.shop.store_id],
            "seriesCode": [*SERIES],
        }

    def templates(self) -> dict[str, Any]:
        """A body per operation that would succeed once."""
        codes, redemption, customer = iter(self.codes[8:]), self.redemptions[0], {"customer": MIRA}
        expiry = {"couponCode": next(codes), "expiryDate": "2031-04-20"}
        pool, shared = self.series["POOL"], self.series["SHARED"]
        mon, profile = self.series["MON"], {"firstName": "Ada", "identifiers": [{"type": "mobile", "value": "919812399999"}]}
        bill = {"identifierType": "mobile", "identifierValue": MOBILES[0], "billNumber": "B-1", "billAmount": 10}
        metadata = {"sourceType": "a", "sourceId": 1, "notes": "b"}
        items = [{"code": next(codes), "customFields": {"a": "b"}, "validationCode": "x"}]
        redeem = {"redemptionRequestList": items, "user": MIRA, "transactionNumber": "B-1", "billAmount": "1800"}
        return {
            "postV2CouponRedeem": redeem,
            "postV2CouponBulkRedeem": {**redeem, "redemptionRequestList": [{"code": next(codes)}]},
            "putV2CouponRedeem": {"redemptions": [{"redemptionId": redemption, "billAmount": 5, "customFields": {"a": "b"}}]},
            "postV2CouponIssue": {"seriesId": self.series["ANY"], **customer, "metadata": metadata},
            "postV2CouponBulkIssue": {
                "seriesIds": [pool, shared],
                **customer,
                "metadata": metadata,
            },
            "postV2CouponIssueMultiple": {"seriesId": self.series["ANY"], "count": 2, **customer},
            "postV2CouponReactivate": {"redemptionIds": [redemption], "reason": ""},
            "postV2CouponRevoke": {"couponSeriesId": mon, "couponCodes": [next(codes)], **customer},
            "putV2CouponBulkExpiry": {"couponSeriesId": mon, "couponCodes": [expiry], **customer},
            "postV2CouponSeries": {"CouponSeriesV2": TERMS},
            "putV2CouponSeries": {"CouponSeriesV2": {"id": self.series["ANY"], "info": "other"}},
            "putV2CouponSeriesSeriesId": {"CouponSeriesV2": {"info": "other"}},
            "postV2Customers": {"profiles": [profile], "loyaltyInfo": {"loyaltyType": "loyalty"}, "extendedFields": {"a": "b"}},
            "putV2CustomersCustomerId": {"profiles": [{"lastName": "L", "fields": {"a": 1}}], "extendedFields": {"a": "b"}},
            "putV2CustomersCustomerIdStatus": {"label": "ACTIVE", "reason": "none"},
            "postV2Transactions": {**bill, "redemptions": {"couponRedemptions": [redemption]}, "billingDate": "2031-03-10"},
            "patchAdminV1CustomersCustomerId": {"fraudStatus": "NOT_FRAUD", "statusLabel": "ACTIVE"},
            "postAdminV1CustomersCustomerIdMerge": {"intoId": self.customers[0]},
            "postAdminV1RedemptionsRedemptionIdReverse": {"reason": "CHARGEBACK"},
            "postAdminV1SeriesSeriesIdWhatIf": {"terms": {"minBillAmount": 500}, "days": 30},
            "postAdminV1Campaigns": {"name": "Winter", "description": "d", "seriesIds": [mon], "startsAt": "2031-01-01"},
            "patchAdminV1CampaignsCampaignId": {"name": "Winter", "endsAt": "2032-01-01T00:00:00Z"},
            "postAdminV1JobsIssue": {"seriesId": mon, "audience": {"segment": {"minTransactions": 0}}, "count": 2, "send": True},
            "postAdminV1JobsRevoke": {"seriesId": pool, "coupons": "unredeemed", "audience": {"uploadId": 1}},
            "postAdminV1JobsExpiry": {"seriesId": mon, "coupons": "unissued", "validTillDateTime": "2031-04-20"},
            "postAdminV1JobsExport": {"what": "coupons", "format": "parquet", "seriesId": mon, "from": "2031-01-01"},
            "postAdminV1Uploads": {"file": FILE, "identifier": "mobile", "column": 0},
            "postCouponApiV1UploadFileSeriesId": {"file": FILE, "customerIdentifier": "MOBILE"},
            "postCouponApiV1UploadRedeemfileSeriesId": {"file": FILE, **REDEEMED_FORM},
            "postV2OtpGenerate": OTP,
            "postV2OtpValidate": {**OTP, "entityValue": MOBILES[1], "code": self.otp},
            "postV2OtpMissedcall": {"mobile": MOBILES[0], "entityType": "MOBILE", "entityValue": MOBILES[0]},
            "postV3Webhooks": {**HOOK, "name": "c"},
            "putV3WebhooksWebhookId": {**HOOK, "active": False},
            "postV3WebhooksWebhookIdRedeliver": {"from": 0, "to": "2031-04-01", "cursor": 0},
            "postAdminV1DeadLettersReplay": {"target": "sms", "cursor": 0},
            "postV3OauthTokenGenerate": {"key": KEY, "secret": "pLz8"},
        }

    def queries(self) -> dict[str, dict[str, Any]]:
        """A query per operation that would find something."""
        by_mobile, named = {"mobile": MOBILES[0]}, {"identifierName": "mobile", "identifierValue": MOBILES[0]}
        return {
            "getV2CouponIsRedeemable": {"code": self.codes[20], "details": "extended", **by_mobile},
            "getV2Coupon": {"couponCodes": ",".join(self.codes[:3]), "showCouponSeries": "true"},
            "getV2CustomersCoupons": {"limit": 5, "offset": 0, **by_mobile},
            "getV2CustomersLookup": named,
            "getV2CustomersLookupCustomerdetails": named,
            "getV2CouponSeries": {"ids": self.series["ANY"]},
            "getV2Otp": {"mobile": OTHERWISE_UNKNOWN, "scope": "COUPON"},
            "getAdminV1Explain": {"code": self.codes[20], "customer": "CRM-77", "till": "till1", "amount": 1800},
            "getAdminV1Refusals": {"limit": 2},
            "getAdminV1Campaigns": {"limit": 1},
            "getAdminV1Events": {"limit": 5, "cursor": 0, "names": "CouponRedeem"},
            "getAdminV1DeadLetters": {"limit": 1, "target": self.webhooks[0]},
            "getAdminV1Mailbox": {"limit": 1},
            "getV3WebhooksEventlogRequestidRequestId": {"consumerGroupId": self.event["consumerGroupId"]},
            "getAdminV1Jobs": {"kind": "issue", "limit": 1},
        }

    def filled(self, random: Random, value: Any, share: float = 0.5, name: str = "") -> Any:
        """The same with known values in that share of the places that have such."""
        match value:
            case dict():
                return {key: self.filled(random, each, share, key) for key, each in value.items()}
            case list():
                return [self.filled(random, each, share, name) for each in value]
            case _ if name in self.known and random.random() < share:
                return random.choice(self.known[name])
            case _:
                return value

    def send(self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Raw:
        """As the till, or below /admin as the admin, whatever the headers say about that."""
        parts = urlsplit(url)
        if parts.path == TOKEN:  # a wrong secret makes the next one wait
            self.shop.clock.ms += FAILURE_WAIT_MS_MAX
        is_admin = parts.path.startswith("/admin/")
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        for name in ("authorization", "x-cap-api-oauth-token", "cap-api-access-token"):
            sent.pop(name, None)
        raw = [(b"authorization", (self._bearer if is_admin else BASIC_HEADER).encode())]
        if body:
            sent = {"content-type": "application/json", "content-length": str(len(body)), **sent}
        raw += [(name.encode(), value.encode("utf-8", "replace")) for name, value in sent.items()]
        answer = self.front.raw(method, unquote(parts.path, errors="replace"), raw, body, parts.query.encode())
        self.redemptions += map(int, REDEMPTION.findall(answer.body))
        return answer
