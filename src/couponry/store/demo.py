"""Demo data: one small shop, made through the same loaders as everybody's data, so that a new server has something to say."""

from typing import Final

from msgspec import Struct

from couponry.core.problem import Problem
from couponry.store import passwords, registry
from couponry.store.bulk import Cells, Kind, import_rows
from couponry.store.bulk.coupons import Coupons
from couponry.store.bulk.customers import Customers
from couponry.store.bulk.series import SeriesRows
from couponry.store.engine import Database

TILL: Final = "demo-till"
PASSWORD: Final = "demo"  # noqa: S105 - printed at every start of a demo
MOBILE: Final = "919812300001"

_CUSTOMERS: Final[tuple[Cells, ...]] = (
    {"firstName": "Mira", "lastName": "Rao", "mobile": MOBILE, "email": "mira@example.com", "externalId": "CRM-77"},
    {"firstName": "Arun", "lastName": "Iyer", "mobile": "919812300002", "externalId": "CRM-78"},
    {"firstName": "Leena", "lastName": "Das", "mobile": "919812300003", "externalId": "CRM-79", "fraudStatus": "CONFIRMED"},
)
_SERIES: Final[tuple[Cells, ...]] = (
    {
        "description": "Monsoon 15",
        "seriesCode": "MONSOON",
        "discountCode": "MON15",
        "discountType": "PERC",
        "discountValue": "15",
        "discountUpto": "200",
        "clientHandlingType": "DISC_CODE",
        "smsTemplate": "Your code is {{voucher_code}}",
    },
    {
        "description": "Fifty off, first hundred",
        "seriesCode": "FIFTY",
        "discountType": "ABS",
        "discountValue": "50",
        "clientHandlingType": "GENERIC",
        "genericCode": "FIFTY",
        "anyUser": "true",
        "isMultipleUseAllowed": "true",
        "maxRedeem": "100",
        "minBillAmount": "200",
        "smsTemplate": "Your code is {{voucher_code}}",
    },
)


class Offer(Struct, frozen=True):
    """What a visitor can try at once: a till and its secret, a coupon that is not used yet, and whose it is."""

    till: str
    secret: str
    code: str
    mobile: str


def offer(database: Database, code: str, now_ms: int) -> Offer:
    """Make the demo shop unless it is there, and in it a new coupon of this code."""
    with database.writing() as tx:
        org_id = registry.org_of_login(tx, "till", TILL)
        is_new = org_id is None
        if org_id is None:
            made = registry.create_org(
                tx, name="Demo shop", time_zone="Asia/Kolkata", currency="INR", country_code="91", now_ms=now_ms
            )
            assert not isinstance(made, Problem), made
            org_id = made
            secret_hash = passwords.hashed(passwords.till_secret(PASSWORD))
            till = registry.create_till(tx, org_id, code=TILL, password_hash=secret_hash, store="demo-store", zone="south")
            assert not isinstance(till, Problem), till
        org = registry.read_org(tx, org_id)
    assert not isinstance(org, Problem), org
    if is_new:
        _import(database, Customers(org, frozenset({"ACTIVE", "SUSPENDED"}), now_ms), _CUSTOMERS)
        _import(database, SeriesRows(org, now_ms, lambda: code), _SERIES)
    coupon = {"seriesCode": "MONSOON", "code": code, "customerMobile": MOBILE, "state": "ISSUED"}
    _import(database, Coupons(org, now_ms), (coupon,))
    return Offer(TILL, passwords.till_secret(PASSWORD), code, MOBILE)


def _import(database: Database, kind: Kind, rows: tuple[Cells, ...]) -> None:
    problems = import_rows(database, kind, rows)
    assert not problems, problems
