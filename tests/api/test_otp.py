"""`/v2/otp`: validation codes and missed calls (supporting APIs 5, rules 10)."""

import asyncio
import sqlite3
from typing import Any, Final

import httpx
import msgspec
import psycopg
import pytest

from couponry.core.status import Code
from couponry.core.telling import Rank
from couponry.core.validation import DEFAULT_TEMPLATE, Channel, Message, Vault
from couponry.store import doctor, registry
from couponry.store import schema as t
from couponry.store.customers import delete
from tests.api.shop import BASIC, MIRA, NOW_MS, SECRET, Front, Shop, code_of
from tests.ledger.rows import rows

MINUTE_MS: Final = 60_000
GENERATE: Final = {
    "entityType": "MOBILE",
    "entityValue": MIRA["mobile"],
    "action": "COUPON",
    "channels": [{"type": "SMS", "value": MIRA["mobile"]}],
}
ARUN: Final = {"mobile": "919812300002"}


def generate(front: Front, **body: Any) -> httpx.Response:
    return front.ask("POST", "/v2/otp/generate", json={**GENERATE, **body})


def read(front: Front, **query: Any) -> httpx.Response:
    return front.ask("GET", "/v2/otp", params={"scope": "COUPON", **query})


def new_code(front: Front, mobile: str = MIRA["mobile"], **body: Any) -> str:
    """A code that was sent to the customer, as the documented read shows it."""
    assert generate(front, entityValue=mobile, **body).status_code == 200
    scope = body.get("action", "COUPON")
    code: str = read(front, mobile=mobile, scope=scope).json()["code"]
    return code


def validate(front: Front, code: Any, **body: Any) -> httpx.Response:
    asked = {"entityType": "MOBILE", "entityValue": MIRA["mobile"], "action": "COUPON", "code": code}
    return front.ask("POST", "/v2/otp/validate", json={**asked, **body})


def redeem(front: Front, coupon: str, code: str = "", **more: Any) -> int:
    """The code of the coupon's own status."""
    items = [{"code": coupon, "validationCode": code}]
    answer = front.redeem(**{"redemptionRequestList": items, **more})
    status: int = answer.json()["redemption"][0]["redemptionStatus"]["code"]
    return status


def wrong(code: str) -> str:
    """Another code than this one."""
    return f"{(int(code) + 1) % 1_000_000:06}"


@pytest.fixture
def strict(shop: Shop) -> Shop:
    """With a series that requires validation."""
    shop.series(seriesCode="STRICT", isValidationRequired=True)
    return shop


def coupon(shop: Shop, mobile: str = MIRA["mobile"]) -> str:
    return shop.coupon(series="STRICT", mobile=mobile)


def everything(shop: Shop) -> str:
    """All that the database holds, as text."""
    tables = t.metadata.sorted_tables
    if shop.database.is_sqlite:
        with sqlite3.connect(shop.database.url.removeprefix("sqlite:///")) as file:
            return str([file.execute(f"SELECT * FROM {table.name}").fetchall() for table in tables])
    with psycopg.connect(shop.database.url) as connection:
        return str([connection.execute(f"SELECT * FROM {table.name}").fetchall() for table in tables])


def test_codes_as_the_contract_prints_them(shop: Shop, front: Front) -> None:
    made = generate(front)
    created = made.json()["createdId"]
    assert (made.status_code, made.json()) == (200, {"createdId": created, "warnings": []})
    shown = read(front, mobile=MIRA["mobile"], threshold=60).json()
    code = shown["code"]
    assert len(code) == 6
    assert code.isdigit()
    customer = rows(shop.database, t.otp, shop.org_id)[0]["customer_id"]
    # 15 minutes from 18:20 in Kolkata.
    upto = "2031-03-10T18:35:00+05:30"
    assert shown == {"orgId": shop.org_id, "userId": customer, "code": code, "validUpto": upto, "warnings": []}
    assert validate(front, code).json() == {"entity": True, "warnings": []}


def test_each_code_leaves_through_the_outbox(shop: Shop, front: Front) -> None:
    created = generate(front).json()["createdId"]
    (event,) = rows(shop.database, t.outbox, shop.org_id)
    (otp,) = rows(shop.database, t.otp, shop.org_id)
    assert (event["event"], event["subject_id"], event["customer_id"]) == ("OtpMessage", created, otp["customer_id"])
    assert event["rank"] == Rank.AT_ONCE
    assert msgspec.json.decode(otp["message"], type=Message) == Message((Channel("mobile", MIRA["mobile"]),), DEFAULT_TEMPLATE)


@pytest.mark.parametrize(
    ("channels", "addresses"),
    [
        (None, [("mobile", MIRA["mobile"])]),
        ([{"type": "email"}], [("email", "mira@example.com")]),
        ([{"type": "BOTH"}], [("mobile", MIRA["mobile"]), ("email", "mira@example.com")]),
        ([{"type": "BOTH", "value": "m1234@example.org"}], [("mobile", MIRA["mobile"]), ("email", "m1234@example.org")]),
        ([{"type": "phone", "value": 9812300009}, {"type": "SMS", "value": "919812300009"}], [("mobile", "919812300009")]),
    ],
)
def test_channels(shop: Shop, front: Front, channels: Any, addresses: list[tuple[str, str]]) -> None:
    assert generate(front, channels=channels, template="{{validation_code}}!").status_code == 200
    message = msgspec.json.decode(rows(shop.database, t.otp, shop.org_id)[0]["message"])
    assert [(channel["kind"], channel["value"]) for channel in message["channels"]] == addresses
    assert message["template"] == "{{validation_code}}!"


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"action": ""}, Code.INVALID_ACTION),
        ({"action": "no action"}, Code.INVALID_ACTION),
        ({"action": "A" * 33, "entityType": "moon"}, Code.INVALID_ACTION),
        ({"entityType": "USER", "entityValue": ""}, Code.INVALID_ENTITY_TYPE),
        ({"entityValue": ""}, Code.INVALID_ENTITY_VALUE),
        ({"entityValue": None, "channels": [{"type": "PIGEON"}]}, Code.INVALID_ENTITY_VALUE),
        ({"entityType": "EMAIL", "entityValue": "mira"}, Code.INVALID_ENTITY_VALUE),
        ({"channels": [{"type": "PIGEON"}]}, Code.INVALID_CHANNEL),
        ({"channels": [{"type": "EMAIL", "value": "mira"}]}, Code.INVALID_CHANNEL),
        ({"channels": [{"type": "SMS"}] * 6}, Code.INVALID_CHANNEL),
        ({"entityValue": "919812399999"}, Code.CODE_NOT_SENDABLE),
        ({"entityValue": ARUN["mobile"], "channels": [{"type": "EMAIL"}]}, Code.CODE_NOT_SENDABLE),
        ({"template": "x" * 2001}, Code.INVALID_INPUT),
        ({"template": "\0"}, Code.INVALID_INPUT),
        ({"emailTemplate": {"body": "\0"}}, Code.INVALID_INPUT),
        ({"channels": "SMS"}, Code.INVALID_INPUT),
        ({"action": "\0"}, Code.INVALID_ACTION),
        ({"entityValue": 10**400}, Code.INVALID_ENTITY_VALUE),
    ],
)
def test_what_generate_refuses(shop: Shop, front: Front, body: dict[str, Any], refused: Code) -> None:
    response = generate(front, **body)
    assert (response.status_code, code_of(response.json())) == (400, refused.number)
    assert rows(shop.database, t.otp, shop.org_id) == rows(shop.database, t.outbox, shop.org_id) == []


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"action": "-"}, Code.INVALID_ACTION),
        ({"entityType": ""}, Code.INVALID_ENTITY_TYPE),
        ({"entityValue": "x"}, Code.INVALID_ENTITY_VALUE),
        ({"code": " "}, Code.CODE_MISSING),
        ({"code": None}, Code.CODE_MISSING),
        ({"code": "\ud800"}, Code.INVALID_INPUT),
        ({"action": "POINTS"}, Code.CODE_NOT_VALID),
        ({"entityValue": ARUN["mobile"]}, Code.CODE_NOT_VALID),
        ({"entityValue": "919812399999"}, Code.CODE_NOT_VALID),
        ({"code": "\0"}, Code.CODE_NOT_VALID),
        ({"code": 10**400}, Code.CODE_NOT_VALID),
    ],
)
def test_what_validate_refuses(front: Front, body: dict[str, Any], refused: Code) -> None:
    code = new_code(front)
    if body.get("code") == "\ud800":
        raw = b'{"entityType": "MOBILE", "entityValue": "919812300001", "action": "COUPON", "code": "\\ud800"}'
        response = front.ask("POST", "/v2/otp/validate", content=raw, headers={"Content-Type": "application/json"})
        assert response.status_code == 400
        return
    response = validate(front, **{"code": code, **body})
    assert (response.status_code, code_of(response.json())) == (400, refused.number)


def test_code_is_valid_for_so_long(shop: Shop, front: Front) -> None:
    code = new_code(front)
    shop.clock.ms = NOW_MS + 15 * MINUTE_MS - 1
    assert validate(front, code).status_code == 200
    shop.clock.ms += 1
    assert code_of(validate(front, code).json()) == 605
    assert code_of(read(front, **MIRA).json()) == 9001


def test_validity_is_the_orgs(shop: Shop) -> None:
    shop.set(otpValidityMinutes="1")
    with shop.front() as front:
        code = new_code(front)
        shop.clock.ms += MINUTE_MS
        assert code_of(validate(front, code).json()) == 605


def test_entity_type_in_any_case(front: Front) -> None:
    code = new_code(front, entityType="mobile")
    assert validate(front, code, entityType="Email", entityValue="MIRA@example.com", action="coupon").status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        {"mobile": "9812300001"},
        {"email": "mira@example.com"},
        {"identifierName": "externalId", "identifierValue": "CRM-77"},
        {"mobile": MIRA["mobile"], "threshold": 0},
    ],
)
def test_ways_to_read(front: Front, query: dict[str, Any]) -> None:
    code = new_code(front)
    assert read(front, **query).json()["code"] == code


def test_read_shows_the_newest_made_since(shop: Shop, front: Front) -> None:
    new_code(front)
    shop.clock.ms += 5 * MINUTE_MS
    newer = new_code(front)
    assert read(front, **MIRA).json()["code"] == newer
    shop.clock.ms += 5 * MINUTE_MS
    assert read(front, **MIRA, threshold=5).json()["code"] == newer
    assert code_of(read(front, **MIRA, threshold=4).json()) == 9001


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ({}, 602),
        ({"mobile": "x"}, 602),
        ({"email": "x"}, 602),
        ({"identifierName": "moon", "identifierValue": "1"}, 602),
        ({**MIRA, "scope": "?"}, 600),
        ({**MIRA, "threshold": "x"}, 629),
        ({**MIRA, "threshold": "9" * 40}, 629),
        ({**ARUN}, 9001),
        ({"mobile": "919812399999"}, 9001),
        ({**MIRA, "scope": "POINTS"}, 9001),
    ],
)
def test_what_read_refuses(front: Front, query: dict[str, Any], refused: int) -> None:
    new_code(front)
    response = read(front, **query)
    assert (response.status_code, code_of(response.json())) == (400, refused)


def test_read_needs_write_access(shop: Shop) -> None:
    """Whoever reads a code can redeem with it, so that a credential that may only read does not get it."""
    shop.change(t.store, shop.store_id, access_group_id=shop.access_group("READ"))
    with shop.front() as front:
        response = read(front, **MIRA)
    assert (response.status_code, code_of(response.json())) == (403, 4000)


def test_ten_codes_a_day(shop: Shop, front: Front) -> None:
    """Till 429 at 18:20, so that it is 5 h 40 min until the org's midnight; Arun has ten of his own."""
    for _ in range(10):
        assert generate(front, action="POINTS").status_code == 200
    refused = generate(front)
    assert (refused.status_code, code_of(refused.json())) == (429, 429)
    assert refused.headers["Retry-After"] == str((5 * 60 + 40) * 60)
    assert generate(front, entityValue=ARUN["mobile"]).status_code == 200
    shop.clock.ms += int(refused.headers["Retry-After"]) * 1000 - 1
    assert generate(front).status_code == 429
    shop.clock.ms += 1
    assert generate(front).status_code == 200


def test_ten_codes_a_day_whoever_asks(shop: Shop, front: Front) -> None:
    """Nine are made; of five more at once, one is."""
    for _ in range(9):
        assert generate(front).status_code == 200

    async def together() -> list[httpx.Response]:
        return list(await asyncio.gather(*(front.asking("POST", "/v2/otp/generate", json=GENERATE) for _ in range(5))))

    told = [response.status_code for response in front.run(together())]
    assert sorted(told) == [200, 429, 429, 429, 429]
    assert len(rows(shop.database, t.otp, shop.org_id)) == 10


def test_five_wrong_tries_burn_a_code(front: Front) -> None:
    code = new_code(front)
    for _ in range(4):
        assert code_of(validate(front, wrong(code)).json()) == 605
    assert validate(front, code).status_code == 200
    assert code_of(validate(front, wrong(code)).json()) == 605
    assert code_of(validate(front, code).json()) == 605
    assert code_of(read(front, **MIRA).json()) == 9001


def test_validating_uses_up_all_but_coupon_codes(front: Front) -> None:
    code = new_code(front, action="POINTS")
    assert validate(front, code, action="POINTS").status_code == 200
    assert code_of(validate(front, code, action="POINTS").json()) == 605
    code = new_code(front)
    assert [validate(front, code).status_code for _ in range(2)] == [200, 200]


def test_redeeming_uses_a_code_up(strict: Shop, front: Front) -> None:
    first, second = coupon(strict), coupon(strict)
    code = new_code(front)
    assert code_of(front.check(code=first, validation_code=code).json()) == 700
    assert redeem(front, first) == 725
    assert redeem(front, first, wrong(code)) == 705
    assert redeem(front, first, code) == 700
    assert redeem(front, second, code) == 705
    assert code_of(validate(front, code).json()) == 605
    (otp,) = rows(strict.database, t.otp, strict.org_id)
    assert (otp["used_ms"], otp["wrong_tries"]) == (NOW_MS, 1)
    assert not doctor.check(strict.database).differences


@pytest.mark.parametrize("spelling", ["validationCode", "validation_code"])
def test_spellings_of_a_code(strict: Shop, front: Front, spelling: str) -> None:
    item = {"code": coupon(strict), spelling: f" {new_code(front)} "}
    assert redeem(front, "", redemptionRequestList=[item]) == 700


def test_codes_of_others_of_other_scope_and_expired(strict: Shop, front: Front) -> None:
    mine = coupon(strict)
    assert redeem(front, mine, new_code(front, ARUN["mobile"])) == 705
    assert redeem(front, mine, new_code(front, action="POINTS")) == 705
    code = new_code(front)
    strict.clock.ms += 15 * MINUTE_MS
    assert redeem(front, mine, code) == 705


def test_wrong_tries_at_redeem_burn_a_code(strict: Shop, front: Front) -> None:
    mine, code = coupon(strict), new_code(front)
    assert [redeem(front, mine, wrong(code)) for _ in range(5)] == [705] * 5
    assert redeem(front, mine, code) == 705
    assert redeem(front, mine, new_code(front)) == 700


def test_replays_of_what_used_a_code_up(strict: Shop, front: Front) -> None:
    """A repeat gets the first answer under either key, although the code is used; another redeem does not."""
    mine, code = coupon(strict), new_code(front)
    body: dict[str, Any] = {"redemptionRequestList": [{"code": mine, "validationCode": code}], "transactionNumber": "B-1"}
    first = front.redeem(**body)
    again = front.redeem(**body)
    assert again.headers["Idempotency-Replayed"] == "derived"
    assert again.json() == first.json()
    body = {"redemptionRequestList": [{"code": coupon(strict), "validationCode": new_code(front)}]}
    headers = {"Idempotency-Key": "otp-1"}
    first = front.redeem(**body, headers=headers)
    again = front.redeem(**body, headers=headers)
    assert first.json()["redemptionStatus"]["code"] == 700
    assert (again.headers["Idempotency-Replayed"], again.json()) == ("true", first.json())


def test_missed_call(strict: Shop, front: Front) -> None:
    first, second = coupon(strict), coupon(strict)
    by_call: Any = {"validationType": "MISSED_CALL"}
    assert redeem(front, "", redemptionRequestList=[{"code": first, **by_call}]) == 732
    response = front.ask("POST", "/v2/otp/missedCall", json={"mobile": "9812300001"})
    assert response.json() == {"createdId": 1, "warnings": []}
    assert code_of(front.check(code=first, validation_type="missed_call").json()) == 700
    assert redeem(front, "", redemptionRequestList=[{"code": first, **by_call}]) == 700
    assert redeem(front, "", redemptionRequestList=[{"code": second, **by_call}]) == 732
    front.ask("POST", "/v2/otp/missedCall", json={"mobile": 919812300001})
    strict.clock.ms += 15 * MINUTE_MS
    assert redeem(front, "", redemptionRequestList=[{"code": second, **by_call}]) == 732


@pytest.mark.parametrize(("mobile", "refused"), [("", 602), (None, 602), ("x", 602), ("919812399999", 8015), ([], 629)])
def test_missed_call_of_nobody(front: Front, mobile: Any, refused: int) -> None:
    response = front.ask("POST", "/v2/otp/missedCall", json={"mobile": mobile})
    assert (response.status_code, code_of(response.json())) == (400, refused)


def test_codes_are_sealed(strict: Shop, front: Front) -> None:
    """Whoever has a copy of the database has no code; not even one that was used, sent or refused."""
    code = new_code(front)
    assert redeem(front, coupon(strict), code) == 700
    assert redeem(front, coupon(strict), code) == 705
    held = everything(strict)
    assert "Your OTP" in held
    assert code not in held
    (otp,) = rows(strict.database, t.otp, strict.org_id)
    assert Vault(b"only for this test").open(strict.org_id, otp["id"], bytes(otp["sealed"])) == code
    assert Vault(b"another secret").open(strict.org_id, otp["id"], bytes(otp["sealed"])) is None


def test_another_secret_is_no_valid_code(shop: Shop, front: Front) -> None:
    assert generate(front).status_code == 200
    shop.change(t.otp, 1, sealed=Vault(b"another secret").seal(shop.org_id, 1, "123456"))
    assert code_of(read(front, **MIRA).json()) == 9001


def test_who_was_deleted_is_not_reachable_any_more(shop: Shop, front: Front) -> None:
    generate(front)
    front.ask("POST", "/v2/otp/missedCall", json=MIRA)
    (otp,) = rows(shop.database, t.otp, shop.org_id)
    with shop.database.writing() as tx:
        delete(tx, shop.org_id, otp["customer_id"], NOW_MS)
    assert MIRA["mobile"] not in str([rows(shop.database, t.otp, shop.org_id), rows(shop.database, t.missed_call, shop.org_id)])


def test_orgs_do_not_share_codes(shop: Shop, front: Front) -> None:
    """The same customer's mobile at another org's till: its codes are its own."""
    code = new_code(front)
    other = Shop(shop.database, shop.clock)
    with shop.database.writing() as tx:
        made = registry.create_org(tx, name="Other", time_zone="UTC", currency="INR", country_code="91", now_ms=NOW_MS)
    assert isinstance(made, int)
    other.org_id = made
    other.till("till2", store="s2", zone="z2", concept="c2")
    other.customers({"mobile": MIRA["mobile"]})
    elsewhere: Any = {"auth": ("till2", SECRET)}
    asked = {"entityType": "MOBILE", "entityValue": MIRA["mobile"], "action": "COUPON", "code": code}
    assert code_of(front.ask("POST", "/v2/otp/validate", json=asked, **elsewhere).json()) == 605
    assert code_of(front.ask("GET", "/v2/otp", params=MIRA, **elsewhere).json()) == 9001
    assert front.ask("POST", "/v2/otp/validate", json=asked, auth=BASIC).status_code == 200
