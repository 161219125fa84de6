"""v1.1 redeem: items by themselves over the ledger that V2 uses (v1.1-coupon 3; README 10)."""

import asyncio
import json
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import select

from couponry.store import schema as t
from tests.api.holdings import coupon_id, series_id
from tests.api.shop import BASIC, MIRA, Front, Shop
from tests.api.v1_1.till import CHECK, REDEEM, bill, codes_of, item, items_of, post
from tests.ledger.stranger import holding

FORMS: Final = ("json", "xml")
KEY: Final = {"Idempotency-Key": "key-1"}


def redemptions(shop: Shop) -> list[Any]:
    with shop.database.reading() as tx:
        return list(tx.rows(select(t.redemption).where(t.redemption.c.org_id == shop.org_id).order_by(t.redemption.c.id), {}))


def test_items_are_independent(shop: Shop, front: Front) -> None:
    """The first and the last go through although the others fail, each with its own code; no 747, no 749."""
    first, second = shop.coupon(), shop.coupon()
    response = post(front, item(first), item("no code"), item(first), {"customer": MIRA}, item("NOSUCH"), item(second))
    assert response.status_code == 201
    assert codes_of(response) == [700, 702, 711, 781, 719, 700]
    assert len(redemptions(shop)) == 2


def test_items_are_judged_in_their_order(shop: Shop, front: Front) -> None:
    """Twenty items share five uses: the first five have them, whatever batches they fell into."""
    shop.series(seriesCode="FIVE", maxRedeem=5)
    codes = [shop.coupon(series="FIVE") for _ in range(20)]
    assert codes_of(post(front, *map(item, codes))) == [700] * 5 + [714] * 15


def test_a_hundred_items(shop: Shop, front: Front) -> None:
    codes = [shop.coupon() for _ in range(100)]
    assert codes_of(post(front, *map(item, codes))) == [700] * 100
    assert codes_of(post(front, *map(item, [*codes, "A"]))) == [629]


@pytest.mark.parametrize("form", FORMS)
def test_whatever_a_client_writes(shop: Shop, front: Front, form: str) -> None:
    """Numbers for texts, blanks, empty elements: it is the same redeem."""
    code = shop.coupon("4411")
    sent = {
        "code": " 4411 " if form == "xml" else 4411,
        "id": "",
        "customer": {"mobile": 919812300001, "email": "", "external_id": None, "card_number": ""},
        "transaction": {"number": 5510, "amount": 1800},
        "custom_fields": {
            "field": [{"name": "channel", "value": "kiosk"}, {"name": "desk", "value": 4}, {"name": "", "value": ""}]
        },
        "redemption_time": "",
        "validation_code": "",
        "validation_type": "",
    }
    assert post(front, sent, form=form).status_code == 200
    (row,) = redemptions(shop)
    assert (row.coupon_id, row.transaction_number, row.amount) == (coupon_id(shop, code), "5510", 1_800_000)
    assert json.loads(row.custom_fields) == {"channel": "kiosk", "desk": "4"}


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"id": "{id}"}, 700),
        ({"id": "{id}", "code": ""}, 700),
        ({"code": ""}, 702),
        ({}, 781),
        ({"id": "abc"}, 629),
        ({"id": "99999999999999999999999"}, 719),
        ({"code": "A", "transaction": {"amount": "much"}}, 733),
        ({"code": "A", "transaction": {"amount": "-1"}}, 733),
        ({"code": "A", "transaction": {"amount": {"a": "1"}}}, 733),
        ({"code": "A", "transaction": {"number": "1" * 256}}, 629),
        ({"code": "A", "redemption_time": "yesterday"}, 629),
        ({"code": "A", "custom_fields": {"field": [{"name": "a", "value": "x" * 1001}]}}, 629),
        ({"code": "A", "custom_fields": {"field": {"name": "a" * 1001, "value": 1}}}, 629),
        ({"code": "A", "customer": {"external_id": "CRM-77", "mobile": "919812300002"}}, 721),
        ({"code": "A", "customer": {}}, 721),
        ({"code": "A", "customer": {"mobile": "919812300003"}}, 740),
        ({"code": "A", "customer": {"mobile": "919812300004"}}, 742),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_codes_of_an_item(shop: Shop, front: Front, form: str, sent: dict[str, Any], code: int) -> None:
    known = str(coupon_id(shop, shop.coupon()))
    filled = {name: known if value == "{id}" else value for name, value in sent.items()}
    response = post(front, {"customer": MIRA, **filled}, form=form, path=f"{REDEEM}.json")
    assert codes_of(response) == [code]
    assert response.status_code == (200 if code == 700 else 500)


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b'"A"',
        b"{}",
        b'{"root": null}',
        b'{"root": []}',
        b'{"root": {"coupon": null}}',
        b'{"root": {"coupon": []}}',
        b'{"root": {"coupon": "A"}}',
        b'{"root": {"coupon": ["A"]}}',
        b'{"root": {"coupon": {"code": ["A"]}}}',
        b'{"root": {"coupon": {"code": {"a": "b"}}}}',
        b'{"root": {"coupon": {"code": "A", "customer": "me"}}}',
        b'{"root": {"coupon": {"code": "A", "transaction": "1"}}}',
        b'{"root": {"coupon": {"code": "\\ud800"}}}',
        b'{"root": {"coupon": {"code": 1.5}}}',
        b"[" * 100_000,
        b'{"root":' * 10_000,
        b"<root/>",
        b"<root><coupon/></root>",
        b"<root><coupon><code>A</code><code>B</code></coupon></root>",
        b"<root><coupon><customer/><customer/></coupon></root>",
        b"<root><coupon><code><a/></code></coupon></root>",
        b"<coupon><code>A</code></coupon>",
    ],
)
def test_other_shapes(front: Front, body: bytes) -> None:
    """A request of no documented shape is a 400 as a whole, in either format."""
    response = front.ask("POST", REDEEM, content=body)
    assert (response.status_code, codes_of(response)) == (400, [400])


def test_customer_in_the_query(shop: Shop, front: Front) -> None:
    """The query's customer is for items that name none."""
    path = f"{REDEEM}?external_id=CRM-78&id="
    response = post(front, {"code": shop.coupon(mobile="919812300002")}, item(shop.coupon()), path=path)
    assert codes_of(response) == [700, 700]
    assert [one["customer"]["external_id"] for one in items_of(response)] == ["CRM-78", "CRM-77"]


def test_amount_only_where_a_series_asks_for_it(shop: Shop, front: Front) -> None:
    shop.series(seriesCode="BIG", minBillAmount=1000)
    code = shop.coupon(series="BIG")
    assert codes_of(post(front, item(code), item(code, **bill("", "")), item(code, **bill("", 999)))) == [733, 733, 733]
    assert codes_of(post(front, item(code, transaction=[{"amount": "1000.00"}]))) == [700]


def test_offset_of_a_time_is_ignored(shop: Shop, front: Front) -> None:
    """README 6: it is 18:20 in Kolkata; a coupon issued at 18:00 cannot have been redeemed at 17:59 there."""
    code = shop.coupon(issuedOn="2031-03-10 18:00:00")
    assert codes_of(post(front, item(code, redemption_time="2031-03-10T17:59:00-08:00"))) == [739]
    assert codes_of(post(front, item(code, redemption_time="2031-03-10T18:01:00-08:00"))) == [700]


@pytest.mark.parametrize("form", FORMS)
def test_explicit_key(shop: Shop, front: Front, form: str) -> None:
    """All items are answered again, refusals too; the key with another body is 629, however many items that has."""
    first, second, third = shop.coupon(), shop.coupon(), shop.coupon()
    sent = (item(first), item("NOSUCH"), item(second), {"code": "A", "customer": MIRA, "redemption_time": "x"})
    answers = [post(front, *sent, form=form, headers=KEY, path=f"{REDEEM}.json") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert codes_of(answers[1]) == [700, 719, 700, 629]
    assert len(redemptions(shop)) == 2
    for other in ((item(first), item(third)), (item(third),), (*sent, item(third)), sent[2:]):
        response = post(front, *other, form=form, headers=KEY, path=f"{REDEEM}.json")
        assert (response.status_code, codes_of(response)) == (400, [629])
    assert len(redemptions(shop)) == 2


def test_replay_is_told_when_all_of_it_is_one(shop: Shop, front: Front) -> None:
    first, second = shop.coupon(), shop.coupon()
    assert post(front, item(first), headers=KEY).headers.get("idempotency-replayed") is None
    assert post(front, item(first), headers=KEY).headers["idempotency-replayed"] == "true"
    sent = item(second, **bill("INV-1"))
    assert codes_of(post(front, sent)) == [700]
    assert post(front, sent).headers["idempotency-replayed"] == "derived"
    both = post(front, sent, item("NOSUCH"))
    assert codes_of(both) == [700, 719]
    assert "idempotency-replayed" not in both.headers


def test_keys_of_credentials_and_endpoints_are_apart(shop: Shop, front: Front) -> None:
    code = shop.coupon()
    assert codes_of(post(front, item(code), headers=KEY)) == [700]
    assert front.redeem(code, headers=KEY).json()["redemptionStatus"]["code"] == 629, "one credential, another body"
    shop.till("till2", store="s2")
    assert codes_of(post(front, item(code), headers=KEY, auth=("till2", BASIC[1]))) == [711]


def test_a_bill_is_the_same_on_both_wires(shop: Shop, front: Front) -> None:
    """Till, number, customer and coupon name the request, whichever API it came over (README 10)."""
    code = shop.coupon()
    first = front.redeem(code, transactionNumber="INV-1").json()["redemption"][0]
    again = post(front, item(code, **bill("INV-1")))
    assert again.headers["idempotency-replayed"] == "derived"
    assert items_of(again)[0]["redemption_id"] == first["redemptionId"]
    assert codes_of(post(front, item(code, **bill("INV-1", "1801")))) == [711]


def test_first_request_with_the_key_still_runs(shop: Shop, front: Front) -> None:
    code = shop.coupon()

    async def both() -> list[httpx.Response]:
        body = {"root": {"coupon": [item(code), item("A")]}}
        tasks = [asyncio.create_task(front.asking("POST", REDEEM, json=body, headers=KEY)) for _ in range(2)]
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return [task.result() for task in done]

    with holding(shop.database.url):
        (refused,) = front.run(both())
    assert (refused.status_code, codes_of(refused), refused.headers["retry-after"]) == (500, [796], "1")


def test_service_failures(shop: Shop) -> None:
    """An item that could not be judged says so, with the text of v1.1; when none succeeded, come again."""
    code = shop.coupon()
    with shop.front(request_budget_ms=200) as front:
        with holding(shop.database.url):
            response = post(front, item(code), headers=KEY)
        assert (response.status_code, response.headers["retry-after"]) == (500, "1")
        assert items_of(response)[0]["item_status"] == {"success": "false", "code": 748, "message": "Coupon service timed out"}
        assert codes_of(post(front, item(code), headers=KEY)) == [700], "a retry really retries"


def test_racing_v2(shop: Shop, front: Front) -> None:
    """A v1.1 redeem and a V2 redeem racing for one coupon: one of them has it (issue 4)."""

    async def race(code: str) -> list[httpx.Response]:
        v2 = {"redemptionRequestList": [{"code": code}], "user": MIRA, "billAmount": 1}
        v11 = {"root": {"coupon": item(code)}}
        sent = [("/v2/coupon/redeem", v2), (REDEEM, v11), ("/v1/coupon/redeem.xml", v11)] * 3
        return await asyncio.gather(*(front.asking("POST", path, json=body) for path, body in sent))

    for round_ in range(1, 6):
        front.run(race(shop.coupon()))
        assert len(redemptions(shop)) == round_


def test_check_and_redeem_agree(shop: Shop, front: Front) -> None:
    """A check changes nothing, and tells 711 when it was somebody else, 706 when it was who asks."""
    shop.series(seriesCode="OPEN", anyUser=True)
    mine, theirs = shop.coupon(), shop.coupon(series="OPEN", mobile="919812300002")
    assert codes_of(post(front, item(mine), {"code": theirs, "customer": {"mobile": "919812300002"}})) == [700, 700]
    checked = front.ask("GET", CHECK, params={**MIRA, "code": f"{mine},{theirs}", "details": "extended"})
    assert codes_of(checked) == [706, 711]
    assert len(redemptions(shop)) == 2


def test_details(shop: Shop, front: Front) -> None:
    """Extended details are those, and every field that the series itself is told with (v1.1-coupon 5)."""
    code = shop.coupon()

    def series_info(details: str) -> dict[str, Any]:
        checked = front.ask("GET", CHECK, params={**MIRA, "code": code, "details": details})
        told: dict[str, Any] = items_of(checked)[0].get("series_info", {})
        return told

    series = front.ask("GET", "/v1.1/coupon/series", params={"id": series_id(shop, "MON")}).json()["response"]["series"]["items"][
        "item"
    ]
    del series["item_status"]
    assert series_info("false") == series_info("") == {}
    assert series_info("TRUE").items() <= series_info("extended").items()
    assert series_info("extended") == {**series_info("true"), **series}
