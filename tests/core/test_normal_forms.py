"""The one normal form of codes, identifiers, ids and idempotency digests: two spellings of one thing must meet."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponry.core import ids
from couponry.core.codes import code_key, is_well_formed, shown
from couponry.core.idempotency import explicit_digest, request_digest, request_fingerprint
from couponry.core.identifiers import is_email, normal_identifier
from couponry.core.limits import ORG_BITS, SERIAL_BITS
from tests.core.world import CODE, coupon_id, key, org, place, redeem


@pytest.mark.parametrize(
    ("kind", "value", "normal"),
    [
        ("mobile", "919812300001", "919812300001"),
        ("mobile", "9812300001", "919812300001"),
        ("mobile", "09812300001", "919812300001"),
        ("mobile", "+91 98123-00001", "919812300001"),
        ("mobile", "0091 (98123) 00001", "919812300001"),
        ("mobile", " 9812300001 ", "919812300001"),
        ("mobile", "\N{ARABIC-INDIC DIGIT NINE}8123\N{FULLWIDTH DIGIT ZERO}000\N{DEVANAGARI DIGIT ONE}", "919812300001"),
        ("mobile", "9812300001\N{SUPERSCRIPT TWO}", "919812300001"),
        ("mobile", "4915112345678", "4915112345678"),
        ("mobile", "no digits", "no digits"),
        ("email", " Mira@Example.COM ", "mira@example.com"),
        ("externalId", " CRM-77 ", "CRM-77"),
        ("externalId", "crm-77", "crm-77"),
        ("cardnumber", "0012", "0012"),
        ("id", "90210", "90210"),
        ("id", "007", "7"),
        ("id", "seven", "0"),
        ("id", "٧", "0"),
        ("id", "9" * 30, "0"),
    ],
)
def test_identifier(kind: str, value: str, normal: str) -> None:
    assert normal_identifier(kind, value, "91", 10) == (kind, normal)


@pytest.mark.parametrize("kind", ["mobile", "email", "externalId", "id"])
@pytest.mark.parametrize("value", ["", "   ", "\t\n"])
def test_empty_identifier_is_none(kind: str, value: str) -> None:
    assert normal_identifier(kind, value, "91", 10) is None


MOBILES = st.integers(10**9, 10**15 - 1).map(str)
TEXTS = st.tuples(st.sampled_from(["email", "externalId", "cardnumber", "id"]), st.text(max_size=40))


@given(st.tuples(st.just("mobile"), MOBILES) | TEXTS)
def test_normal_form_is_final(identifier: tuple[str, str]) -> None:
    """Prevents a customer who is stored under one form and looked up under another."""
    first = normal_identifier(*identifier, "91", 10)
    assert first is None or normal_identifier(*first, "91", 10) == first


@pytest.mark.parametrize(
    ("text", "is_it"), [("a@b", True), ("a@b.c", True), ("a b@c", False), ("@b", False), ("a@", False), ("a", False)]
)
def test_email(text: str, *, is_it: bool) -> None:
    assert is_email(text) is is_it


@given(st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True))
def test_code_key_ignores_case_and_blanks(code: str) -> None:
    assert code_key(f" {code.lower()} ") == code_key(code.upper()) == code_key(code_key(code))
    assert is_well_formed(f" {code}\t")


def test_code_is_shown_in_the_case_asked_for() -> None:
    assert (shown("aB-1", "UPPER"), shown("aB-1", "LOWER"), shown("aB-1", "AS_IT_IS")) == ("AB-1", "ab-1", "aB-1")


@given(
    st.sampled_from([ids.COUPON, ids.REDEMPTION]),
    st.integers(1, 2**ORG_BITS - 1),
    st.integers(0, 2**SERIAL_BITS - 1),
)
def test_id_says_its_kind_and_org(kind: int, org_id: int, serial: int) -> None:
    """Prevents a redemption's id from being taken for a coupon's, and one that a JavaScript client would round."""
    entity_id = ids.first_id(kind, org_id, serial)
    assert ids.org_of(entity_id) == org_id
    assert ids.is_coupon_id(entity_id) is (kind == ids.COUPON)
    assert 0 < entity_id < 2**53


@pytest.mark.parametrize("number", [0, -1, 7, -(2**40)])
def test_small_number_is_no_id(number: int) -> None:
    assert not ids.is_coupon_id(number)
    assert ids.org_of(number) == 0


@pytest.mark.parametrize(
    "other",
    [
        {"place": place(till_id=12)},
        {"transaction_number": "INV-5511"},
        {"amount": Decimal(1)},
        {"items": redeem("OTHER").items},
        {"items": redeem(CODE, "OTHER").items},
        {"items": redeem(coupon_id(1)).items},
    ],
    ids=str,
)
def test_another_bill_is_another_request(other: dict[str, Any]) -> None:
    """Everything in the derived key but the amount is in the digest; the amount is the fingerprint (README 10)."""
    ours, theirs = redeem(), redeem(**other)
    differs = request_digest(ours, 1, org()) != request_digest(theirs, 1, org())
    assert differs is ("amount" not in other)
    assert (request_fingerprint(ours) != request_fingerprint(theirs)) is ("amount" in other)


def test_same_bill_is_the_same_request() -> None:
    one = redeem("A", "B", amount=Decimal(1800), transaction_number="INV-1")
    other = redeem("b ", "a", amount=Decimal("1800.00"), transaction_number=" INV-1 ")
    assert request_digest(one, 1, org()) == request_digest(other, 1, org())
    assert request_fingerprint(one) == request_fingerprint(other)
    assert request_digest(one, 1, org()) != request_digest(one, 2, org())


@pytest.mark.parametrize(
    ("command", "customer_id", "hours"),
    [(redeem(transaction_number=" "), 1, 24), (redeem(transaction_number=None), 1, 24), (redeem(), None, 24), (redeem(), 1, 0)],
)
def test_no_derived_key(command: Any, customer_id: int | None, hours: int) -> None:
    assert request_digest(command, customer_id, org(derived_idempotency_hours=hours)) is None


def test_explicit_key_is_its_credentials_own() -> None:
    assert explicit_digest("till:1", "k") != explicit_digest("till:2", "k")
    assert request_digest(redeem(key=key("digest")), None, org()) == "digest"
