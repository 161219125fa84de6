"""The data: customers, series and coupons as CSV files for `couponry import`, and the requests that use them.

Everything follows from a serial, so that Python, SQL and pgbench's script name the same customer and code without a look-up.
Codes and customers are scattered over their indexes, as real ones are.
"""

import base64
import csv
import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from bench.load import http_request

TILL: Final = "bench-till"
PASSWORD: Final = "bench"
ISSUE_SERIES: Final = "ISSUED"
HOT_CODE: Final = "HOTCODE"
HOT_CAP: Final = 1_000_000_000
FIRST_MOBILE: Final = 919_000_000_000
# Of the customers, the series and the prime that codes are taken modulo, none shares a factor with what scatters them.
CUSTOMER_STEP: Final = 7919
CODE_STEP: Final = 48_271
CODE_PRIME: Final = 2_147_483_647
SERIES_PER_HUNDRED: Final = 10


@dataclass(frozen=True)
class Size:
    """How much is stored before anything is measured."""

    customers: int = 50_000
    series: int = 100
    coupons: int = 200_000


@dataclass(frozen=True)
class Coupons:
    """A batch of `count` coupons, each issued to a customer; `together` of them in a row to the same one."""

    name: str
    count: int
    size: Size
    together: int = 1

    def code(self, serial: int) -> str:
        """Scattered over the index, unique within the batch."""
        return f"{self.name}{(serial + 1) * CODE_STEP % CODE_PRIME}"

    def customer(self, serial: int) -> int:
        """Scattered too; the same customer comes back after all others."""
        return serial // self.together * CUSTOMER_STEP % self.size.customers

    def series(self, serial: int) -> int:
        """A customer's next coupon is of another series; coupons that are redeemed together are of ten series."""
        if self.together > 1:
            return (serial // (self.together // SERIES_PER_HUNDRED)) % self.size.series
        return (serial + serial // self.size.customers) % self.size.series

    def write_csv(self, path: Path) -> None:
        """A file for `couponry import coupons`."""
        rows = ((series_code(self.series(n)), self.code(n), external_id(self.customer(n)), "ISSUED") for n in range(self.count))
        write_rows(path, ("seriesCode", "code", "customerExternalId", "state"), rows)


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(header)
        writer.writerows(rows)


def mobile(customer: int) -> str:
    return str(FIRST_MOBILE + customer)


def external_id(customer: int) -> str:
    return f"C{customer}"


def series_code(series: int) -> str:
    return f"BENCH{series}"


def write_customers(path: Path, size: Size) -> None:
    """A file for `couponry import customers`."""
    rows = (("Mira", f"Rao {n}", mobile(n), f"c{n}@example.com", external_id(n)) for n in range(size.customers))
    write_rows(path, ("firstName", "lastName", "mobile", "email", "externalId"), rows)


def write_series(path: Path, size: Size) -> None:
    """A file for `couponry import series`: single-use codes with a limit per customer, and a common code under one cap."""
    shared = {
        "description": "15 percent off",
        "discountCode": "MON15",
        "discountType": "PERC",
        "discountValue": "15",
        "discountUpto": "200",
        "smsTemplate": "{{voucher}}",
        "expiryStrategyType": "SERIES_EXPIRY",
    }
    single_use = {"clientHandlingType": "DISC_CODE", "anyUser": "false", "maxRedemptionsInSeriesPerUser": "100000"}
    many_uses = {"isMultipleUseAllowed": "true", "sameUserMultipleRedeem": "true", "maxRedeem": str(HOT_CAP)}
    many_held = {"clientHandlingType": "DISC_CODE", "isMultipleVouchersPerUserAllowed": "true"}
    hot = {"clientHandlingType": "GENERIC", "genericCode": HOT_CODE, "anyUser": "true", **many_uses}
    rows = [{"seriesCode": series_code(n), **shared, **single_use} for n in range(size.series)]
    rows.append({"seriesCode": ISSUE_SERIES, **shared, **many_held})
    rows.append({"seriesCode": "HOT", **shared, **hot})
    header = tuple(rows[0] | rows[-2] | rows[-1])
    write_rows(path, header, ([row.get(name, "") for name in header] for row in rows))


def authorization() -> dict[str, str]:
    """Basic, as the contract has it: the till's code and the MD5 of its password (README 2.1)."""
    password = hashlib.md5(PASSWORD.encode(), usedforsecurity=False).hexdigest()
    return {"Authorization": "Basic " + base64.b64encode(f"{TILL}:{password}".encode()).decode()}


def redeem_request(codes: Sequence[str], customer: int, number: str) -> bytes:
    """`POST /v2/coupon/redeem`, with a transaction number, so that its answer is kept for a repeat."""
    body = {
        "redemptionRequestList": [{"code": code} for code in codes],
        "user": {"mobile": mobile(customer)},
        "transactionNumber": number,
        "billAmount": "1800",
    }
    headers = {**authorization(), "Content-Type": "application/json"}
    return http_request("POST", "/v2/coupon/redeem", headers, json.dumps(body).encode())


def redeem_request_in_json(codes: Sequence[str], customer: int, number: str) -> bytes:
    """The same by `POST /v1.1/coupon/redeem`, one coupon."""
    (code,) = codes
    bill = {"number": number, "amount": "1800"}
    body = {"root": {"coupon": [{"code": code, "customer": {"mobile": mobile(customer)}, "transaction": [bill]}]}}
    headers = {**authorization(), "Content-Type": "application/json"}
    return http_request("POST", "/v1.1/coupon/redeem", headers, json.dumps(body).encode())


def redeem_request_in_xml(codes: Sequence[str], customer: int, number: str) -> bytes:
    """The same in XML."""
    (code,) = codes
    bill = f"<transaction><number>{number}</number><amount>1800</amount></transaction>"
    body = f"<root><coupon><code>{code}</code><customer><mobile>{mobile(customer)}</mobile></customer>{bill}</coupon></root>"
    headers = {**authorization(), "Content-Type": "application/xml"}
    return http_request("POST", "/v1.1/coupon/redeem", headers, body.encode())


REDEEM_IN: Final = {"v2": redeem_request, "v1.1 json": redeem_request_in_json, "v1.1 xml": redeem_request_in_xml}


def redeem_requests(coupons: Coupons, wire: str = "v2") -> Iterator[bytes]:
    """Every coupon of a batch once, in no order that an index or a table has."""
    request = REDEEM_IN[wire]
    groups = list(range(coupons.count // coupons.together))
    random.Random(coupons.name).shuffle(groups)
    for group in groups:
        first = group * coupons.together
        codes = [coupons.code(serial) for serial in range(first, first + coupons.together)]
        yield request(codes, coupons.customer(first), f"{coupons.name}-{group}")


def hot_requests(name: str, count: int, size: Size) -> Iterator[bytes]:
    """One common code, shown by everybody."""
    return (redeem_request([HOT_CODE], n * CUSTOMER_STEP % size.customers, f"{name}-{n}") for n in range(count))


def check_requests(coupons: Coupons) -> Iterator[bytes]:
    """`GET /v2/coupon/is_redeemable` for every coupon of a batch."""
    serials = list(range(coupons.count))
    random.Random(coupons.name).shuffle(serials)
    for serial in serials:
        query = urlencode({"mobile": mobile(coupons.customer(serial)), "code": coupons.code(serial)})
        yield http_request("GET", f"/v2/coupon/is_redeemable?{query}", authorization())


def issue_requests(series_id: int, size: Size, together: int) -> Iterator[bytes]:
    """A coupon for every customer, by `POST /v2/coupon/issue`, or several by `/v2/coupon/issue/multiple`."""
    headers = {**authorization(), "Content-Type": "application/json"}
    target, more = ("/v2/coupon/issue", {}) if together == 1 else ("/v2/coupon/issue/multiple", {"count": together})
    for n in range(size.customers):
        body = {"seriesId": series_id, "customer": {"mobile": mobile(n * CUSTOMER_STEP % size.customers)}, **more}
        yield http_request("POST", target, headers, json.dumps(body).encode())
