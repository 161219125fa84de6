"""Anything that looks like a v1.1 request is answered as v1.1 answers, never by a failure; and alike in both formats."""

from contextlib import closing
from pathlib import Path
from shutil import copy
from typing import Any, Final

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from couponry.store.engine import Database
from tests.api.shop import MIRA, Front, Shop
from tests.api.v1_1.plain import from_json, from_xml, single
from tests.api.v1_1.till import CHECK, ISSUE, REDEEM, xml

POSTS: Final = (REDEEM, ISSUE)
KNOWN: Final = (
    "H4TQ0001",
    "h4tq0002",
    "USED",
    "MON",
    "NOSUCH",
    "5001",
    "919812300001",
    "919812300003",
    "CRM-77",
    "INV-1",
    "1800",
)
ODD: Final = ("-1", "1e999", "NaN", "\0", "\ufffe", "2031-03-10", "2031-03-10T10:00:00+05:30", "MISSED_CALL", "true", "<&>", " ")
TEXTS: Final = st.text(max_size=12) | st.sampled_from(KNOWN) | st.sampled_from(ODD)
SCALARS: Final = TEXTS | st.integers() | st.floats() | st.booleans() | st.none()
CUSTOMERS: Final = st.just(MIRA) | st.dictionaries(
    st.sampled_from(["mobile", "email", "external_id", "id", "user_id", "card_number"]), SCALARS, max_size=3
)
BILLS: Final = st.fixed_dictionaries({}, optional={"number": SCALARS, "amount": SCALARS})
FIELDS: Final = st.fixed_dictionaries({}, optional={"name": SCALARS, "value": SCALARS})
ITEMS: Final = st.fixed_dictionaries(
    {},
    optional={
        "code": SCALARS,
        "id": SCALARS,
        "series_id": SCALARS | st.just("5001"),
        "customer": CUSTOMERS | SCALARS,
        "transaction": BILLS | st.lists(BILLS, max_size=2) | SCALARS,
        "custom_fields": st.fixed_dictionaries({"field": FIELDS | st.lists(FIELDS, max_size=3) | SCALARS}) | SCALARS,
        "validation_code": SCALARS,
        "validation_type": SCALARS,
        "redemption_time": SCALARS,
    },
)
ROOTS: Final = st.fixed_dictionaries({"root": st.fixed_dictionaries({"coupon": ITEMS | st.lists(ITEMS, max_size=4) | SCALARS})})
PARAMETERS: Final = (
    *("code", "coupon_id", "mobile", "email", "external_id", "id", "details", "amount", "transaction_number", "format"),
    *("validation_code", "validation_type", "coupon_code_case", "user_id"),
)
QUERIES: Final = st.dictionaries(st.sampled_from(PARAMETERS), TEXTS | st.lists(TEXTS, max_size=3).map(",".join), max_size=5)
LENIENT: Final = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def front(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A shop for all examples: coupons that are used up stay used up."""
    path = Path(copy(migrated_sqlite, tmp_path_factory.mktemp("v11")))
    with closing(Database(f"sqlite:///{path}")) as database:
        shop = Shop(database).open()
        for _ in range(2):
            shop.coupon()
        shop.coupon("USED")
        shop.series(seriesCode="AGAIN", isMultipleUseAllowed=True, sameUserMultipleRedeem=True)
        shop.coupon("AGAIN-1", series="AGAIN")
        with shop.front() as running:
            assert running.redeem("USED").status_code == 200
            yield running


def answered(response: httpx.Response) -> Any:
    """The answer in plain form, if it is one that v1.1 gives to what rules and shapes refuse."""
    body = from_xml(response.content) if "xml" in response.headers["content-type"] else from_json(response.json())
    status = body["response"]["status"]
    assert (response.status_code, status["code"]) in {(200, "200"), (201, "201"), (400, "400"), (400, "629"), (500, "500")}, body
    assert "retry-after" not in response.headers, body
    assert '"730"' not in str(body)
    return body


@LENIENT
@given(st.sampled_from(POSTS), ROOTS, st.sampled_from(["json", "xml"]), QUERIES)
def test_bodies(front: Front, path: str, root: Any, form: str, query: dict[str, str]) -> None:
    """Prevents a 5xx for whatever a client may put into the documented fields."""
    content = msgspec.json.encode(root) if form == "json" else xml(root).encode(errors="replace")
    answered(front.ask("POST", path, content=content, params=query, headers={"Content-Type": f"application/{form}"}))


@LENIENT
@given(st.sampled_from(POSTS), st.binary(max_size=80), st.sampled_from(["application/json", "text/xml", ""]))
def test_bytes(front: Front, path: str, body: bytes, content_type: str) -> None:
    answered(front.ask("POST", path, content=body, headers={"Content-Type": content_type} if content_type else {}))


@LENIENT
@given(QUERIES)
def test_queries_are_answered_alike(front: Front, query: dict[str, str]) -> None:
    """A check says the same in JSON and in XML."""
    asked = {name: value for name, value in query.items() if name != "format"}
    in_json, in_xml = (answered(front.ask("GET", f"{CHECK}.{form}", params=asked)) for form in ("json", "xml"))
    assert single(in_json) == single(in_xml)


@LENIENT
@given(
    st.lists(
        st.builds(
            lambda code, number, customer: {
                "code": code,
                "customer": customer,
                "transaction": {"number": number, "amount": "10"},
            },
            st.sampled_from(["H4TQ0001", "H4TQ0002", "AGAIN-1", "USED", "NOSUCH", "no code", ""]),
            st.sampled_from(["INV-1", "INV-2", "<INV> & 3"]),
            st.sampled_from([MIRA, {"external_id": "CRM-77"}, {"mobile": "1"}, {"mobile": "919812300003"}, {}]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["json", "xml"]),
)
def test_redeems_are_answered_alike(front: Front, items: list[Any], form: str) -> None:
    """A redeem says the same in JSON and in XML: the second time it is answered as the first, since the bill is the same."""
    root = {"root": {"coupon": items}}
    content = msgspec.json.encode(root) if form == "json" else xml(root).encode()
    headers = {"Content-Type": f"application/{form}"}
    answers = [answered(front.ask("POST", f"{REDEEM}.{each}", content=content, headers=headers)) for each in ("json", "xml")]
    assert single(answers[0]) == single(answers[1])
