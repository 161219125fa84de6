"""What the text in the search box could be, and how identifiers are masked."""

import pytest

from couponry.core import ids
from couponry.core.searching import Sought, masked, sought
from tests.core.world import org

COUPON_ID = ids.first_id(ids.COUPON, 1001, 12)
REDEMPTION_ID = ids.first_id(ids.REDEMPTION, 1001, 12)


def exact(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((kind, text) for kind in ("externalId", "cardnumber", "cardExternalId"))


@pytest.mark.parametrize(
    "spelt",
    [
        *("919812300001", "9812300001", "09812300001", "+91 98123 00001", "+91-98123-00001", "0091 9812300001"),
        *("(98123) 00001", "98123.00001", " 98123/00001 ", "+९१ ९८१२३ ००००१", "98123\N{NO-BREAK SPACE}00001"),
    ],
)
def test_a_mobile_is_known_however_people_write_it(spelt: str) -> None:
    assert sought(spelt, org()).identifiers[0] == ("mobile", "919812300001")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", Sought()),
        ("  \0 ", Sought()),
        ("x" * 256, Sought()),
        ("h4tq-9zkm", Sought(exact("h4tq-9zkm"), "H4TQ-9ZKM", transaction_number="h4tq-9zkm")),
        ("h4tq 9zkm", Sought(exact("h4tq 9zkm"), "H4TQ9ZKM", transaction_number="h4tq 9zkm")),
        ("INV/5510", Sought(exact("INV/5510"), transaction_number="INV/5510")),
        (
            "Mira <Mira@Example.com>",
            Sought(
                (("email", "mira@example.com"), ("externalId", "Mira <Mira@Example.com>")),
                transaction_number="Mira <Mira@Example.com>",
            ),
        ),
        (
            "90001",
            Sought((("id", "90001"), *exact("90001")), "90001", transaction_number="90001"),
        ),
        ("#90001", Sought((("id", "90001"), *exact("#90001")), transaction_number="#90001")),
    ],
)
def test_what_a_text_may_mean(text: str, meant: Sought) -> None:
    assert sought(text, org()) == meant


def test_ids_of_coupons_and_redemptions_are_told_apart() -> None:
    assert sought(str(COUPON_ID), org()).coupon_id == COUPON_ID
    assert sought(str(REDEMPTION_ID), org()).redemption_id == REDEMPTION_ID
    assert sought("9" * 30, org()).redemption_id is None


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("mobile", "919812300001", "••••0001"),
        ("email", "mira@example.com", "m••••@example.com"),
        ("externalId", "CRM-77", "••••M-77"),
        ("externalId", "abc", "••••"),
        ("mobile", None, ""),
    ],
)
def test_identifiers_are_masked(kind: str, value: str | None, shown: str) -> None:
    assert masked(kind, value) == shown
