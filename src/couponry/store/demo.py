"""Demo data: one small shop with a series of each kind, made through the same loaders as everybody's data.

Made again at every start, which adds only what is missing: the loader refuses a row that is there already, and that is well.
"""

from typing import Final

from msgspec import Struct
from sqlalchemy import select

from couponry.core.codes import code_key
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.roles import ROLES, Role
from couponry.store import passwords, registry
from couponry.store import schema as t
from couponry.store.bulk import Cells, Kind, import_rows
from couponry.store.bulk.coupons import Coupons
from couponry.store.bulk.customers import Customers
from couponry.store.bulk.series import SeriesRows
from couponry.store.engine import Database

TILL: Final = "demo.till"
PASSWORD: Final = "demo"  # noqa: S105 - printed at every start of a demo
MOBILE: Final = "919812300001"
CONSOLE_PASSWORD: Final = "try the console"  # noqa: S105 - printed at every start of a demo
EMAIL: Final = "noor@example.com"
"""Of a customer without a mobile, who is told by e-mail."""

_TOLD: Final = "THANKS"
"""The series whose coupons customers are told of, as many as anybody likes."""
_THERE_ALREADY: Final = frozenset({633, 751, 1016, 1032, 1033, 5004})
_COUPONS_AT_ONCE: Final = 100

_CUSTOMERS: Final[tuple[Cells, ...]] = (
    {"firstName": "Mira", "lastName": "Rao", "mobile": MOBILE, "email": "mira@example.com", "externalId": "CRM-77"},
    {"firstName": "Arun", "lastName": "Iyer", "mobile": "919812300002", "externalId": "CRM-78", "transactionCount": "4"},
    {"firstName": "Leena", "lastName": "Das", "mobile": "919812300003", "externalId": "CRM-79", "fraudStatus": "CONFIRMED"},
    {"firstName": "Vikram", "lastName": "Sen", "mobile": "919812300004", "externalId": "CRM-80", "statusLabel": "SUSPENDED"},
    {"firstName": "Noor", "lastName": "Shah", "email": EMAIL, "externalId": "CRM-81"},
)
_ANY_NUMBER_OF_TIMES: Final = {"isMultipleUseAllowed": True, "sameUserMultipleRedeem": True}
_SERIES: Final[tuple[Cells, ...]] = (
    {
        "seriesCode": "MONSOON",
        "description": "Monsoon 15: 15 percent, each code once",
        "discountCode": "MON15",
        "discountType": "PERC",
        "discountValue": 15,
        "discountUpto": 200,
        "clientHandlingType": "DISC_CODE",
    },
    {
        "seriesCode": "FIFTY",
        "description": "Fifty off for everybody, the first hundred",
        "discountType": "ABS",
        "discountValue": 50,
        "clientHandlingType": "GENERIC",
        "genericCode": "FIFTY",
        "anyUser": True,
        "isMultipleUseAllowed": True,
        "maxRedeem": 100,
        "minBillAmount": 200,
    },
    {
        "seriesCode": "THRICE",
        "description": "Twenty off, each code three times, whoever comes",
        "discountType": "ABS",
        "discountValue": 20,
        "clientHandlingType": "DISC_CODE_PIN",
        "anyUser": True,
        "redemptionPerCouponMaxLimit": 3,
        **_ANY_NUMBER_OF_TIMES,
    },
    {
        "seriesCode": "WEEKEND",
        "description": "Ten percent on Saturdays and Sundays",
        "discountType": "PERC",
        "discountValue": 10,
        "clientHandlingType": "DISC_CODE",
        "redemptionRange": {"dom": [-1], "dow": [0, 6], "hours": [-1]},
        **_ANY_NUMBER_OF_TIMES,
    },
    {
        "seriesCode": "WELCOME",
        "description": "Hundred off the first bill",
        "discountType": "ABS",
        "discountValue": 100,
        "clientHandlingType": "DISC_CODE",
        "targetUserDetails": {"validMaxUserTransactionLimit": 0},
    },
    {
        "seriesCode": "PARTNER",
        "description": "Codes of a partner: they belong to whom redeems them first",
        "discountType": "ABS",
        "discountValue": 75,
        "clientHandlingType": "DISC_CODE_PIN",
        "externalIssual": True,
    },
    {
        "seriesCode": "BYGONE",
        "description": "Over since 2020",
        "discountType": "ABS",
        "discountValue": 5,
        "clientHandlingType": "DISC_CODE",
        "validTillDate": "2020-12-31",
    },
    {
        "seriesCode": _TOLD,
        "description": "Ten off the next visit",
        "discountType": "ABS",
        "discountValue": 10,
        "clientHandlingType": "DISC_CODE",
        "expiryStrategyType": "DAYS",
        "expiryStrategyValue": 30,
        "smsTemplate": (
            "Hello {{first_name}}, thank you for coming. {{offer_name}} with {{voucher_code}}, until {{voucher_expiry_date}}."
        ),
        "shortSMSTemplate": "{{offer_name}}: {{voucher_code}}",
        "isMultipleVouchersPerUserAllowed": True,
    },
)
_OTHER_COUPONS: Final[tuple[Cells, ...]] = (
    {"seriesCode": "THRICE", "code": "THRICE-1"},
    {"seriesCode": "WEEKEND", "code": "WEEKEND-1", "customerMobile": MOBILE},
    {"seriesCode": "WELCOME", "code": "WELCOME-1", "customerMobile": MOBILE},
    {"seriesCode": "WELCOME", "code": "WELCOME-2", "customerMobile": "919812300002"},
    {"seriesCode": "PARTNER", "code": "PARTNER-1"},
    {"seriesCode": "BYGONE", "code": "BYGONE-1", "customerMobile": MOBILE},
)


class Offer(Struct, frozen=True):
    """What a visitor can try at once: a till and its secret, a coupon that is not used yet, and whose it is.

    Of the series, any number of coupons may be issued, to the same customer or to one who is told by e-mail.
    """

    till: str
    secret: str
    code: str
    mobile: str
    series_id: int
    email: str = EMAIL


def offer(database: Database, now_ms: int) -> Offer:
    """Make of the demo shop what is not there yet, and name its first coupon that nobody has redeemed."""
    org = _org(database, now_ms)
    _import(database, Customers(org, frozenset({"ACTIVE", "SUSPENDED"}), now_ms), _CUSTOMERS)
    _import(database, SeriesRows(org, now_ms, str), _SERIES)
    _people(database, org)
    coupons = Coupons(org, now_ms)
    _import(database, coupons, _OTHER_COUPONS)
    while (code := _unredeemed(database, org)) is None:
        first = _number_of_demo_coupons(database, org) + 1
        new = [f"DEMO-{number:04}" for number in range(first, first + _COUPONS_AT_ONCE)]
        _import(database, coupons, tuple({"seriesCode": "MONSOON", "code": code, "customerMobile": MOBILE} for code in new))
    return Offer(TILL, passwords.till_secret(PASSWORD), code, MOBILE, _told_series(database, org))


def _org(database: Database, now_ms: int) -> Org:
    """The demo org with its till, made together if the till is not there."""
    with database.writing() as tx:
        org_id = registry.org_of_login(tx, "till", TILL)
        if org_id is None:
            place = {"time_zone": "Asia/Kolkata", "currency": "INR", "country_code": "91"}
            made = registry.create_org(tx, name="Demo", now_ms=now_ms, **place)
            assert isinstance(made, int), made
            org_id = made
            secret_hash = passwords.hashed(passwords.till_secret(PASSWORD))
            till = registry.create_till(
                tx, org_id, code=TILL, password_hash=secret_hash, store="demo", zone="south", concept="food"
            )
            assert not isinstance(till, Problem), till
        org = registry.read_org(tx, org_id)
        assert isinstance(org, Org), org
        return org


def email_of(role: Role) -> str:
    """Who has a role in the demo."""
    return f"{role}@demo.example"


def _people(database: Database, org: Org) -> None:
    """Somebody of each role for the console; whoever is there already stays as they are."""
    with database.reading() as tx:
        missing = [role for role in ROLES if registry.org_of_login(tx, "user", email_of(role)) is None]
    hashes = {role: passwords.hashed(CONSOLE_PASSWORD) for role in missing}
    with database.writing() as tx:
        for role, password_hash in hashes.items():
            registry.create_user(tx, org.id, email=email_of(role), password_hash=password_hash, role=role)


def _told_series(database: Database, org: Org) -> int:
    series = t.series.c
    with database.reading() as tx:
        ((series_id,),) = tx.rows(select(series.id).where(series.org_id == org.id, series.code_key == code_key(_TOLD)), {})
    return int(series_id)


def _unredeemed(database: Database, org: Org) -> str | None:
    coupon = t.coupon.c
    is_free = (coupon.org_id == org.id, coupon.code.like("DEMO-%"), coupon.uses == 0, coupon.revoked_ms.is_(None))
    with database.reading() as tx:
        found = tx.rows(select(coupon.code).where(*is_free).order_by(coupon.id).limit(1), {})
    return found[0].code if found else None


def _number_of_demo_coupons(database: Database, org: Org) -> int:
    coupon = t.coupon.c
    with database.reading() as tx:
        return len(tx.rows(select(coupon.id).where(coupon.org_id == org.id, coupon.code.like("DEMO-%")), {}))


def _import(database: Database, kind: Kind, rows: tuple[Cells, ...]) -> None:
    problems = [problem for problem in import_rows(database, kind, rows) if problem.code not in _THERE_ALREADY]
    assert not problems, problems
