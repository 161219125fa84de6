"""Generated codes: what they look like, that none comes twice, and that they cannot be guessed."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponry.core.codes import code_key, is_well_formed
from couponry.core.generation import (
    ALPHANUMERIC,
    DIGITS,
    UNAMBIGUOUS,
    CodeMaker,
    CodeShape,
    guess_warning,
    shape_of,
    shape_problem,
)
from couponry.core.model import Terms
from couponry.core.org_settings import OrgSettings

KEY = bytes(range(32))
ALPHABETS = (ALPHANUMERIC, UNAMBIGUOUS, DIGITS)


def terms(**fields: Any) -> Terms:
    return Terms("Monsoon 15", "M15", "UTC", valid_till_date=date(2031, 5, 1), **fields)


def test_alphabets() -> None:
    assert UNAMBIGUOUS == "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
    assert sorted(ALPHANUMERIC) == sorted("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    assert DIGITS == "0123456789"


@pytest.mark.parametrize(
    ("shape", "codes"),
    [
        (CodeShape(ALPHANUMERIC, 8), ["AIUP328E", "8MQ5S0CC"]),
        (CodeShape(UNAMBIGUOUS, 12, "MON-"), ["MON-F86RZPXBZBWV", "MON-R5GPMS4SV7MC"]),
        (CodeShape(DIGITS, 4, "A", "-z"), ["A8474-z", "A5987-z"]),
        (CodeShape(ALPHANUMERIC, 40), ["EU6OEE2HQMCIYTWJWXXWCUFI8C7Q0BCF1JHSI3WG", "1APLISC5ECJRYYH530GM5QGOB1GUF8BWQATQ9AO9"]),
    ],
    ids=str,
)
def test_codes_stay_what_they_are(shape: CodeShape, codes: list[str]) -> None:
    """Prevents a change of the derivation: a series that runs already would come upon the codes that it has issued."""
    assert CodeMaker(KEY, 5001, shape).codes(1000, 2) == codes


@given(st.sampled_from(ALPHABETS), st.integers(4, 40), st.integers(0, 2**60), st.integers(0, 300), st.data())
def test_codes_are_of_their_shape(alphabet: str, length: int, first: int, count: int, data: st.DataObject) -> None:
    prefix = data.draw(st.from_regex(r"[A-Za-z0-9_-]{0,20}", fullmatch=True))[: 40 - length]
    suffix = data.draw(st.from_regex(r"[A-Za-z0-9_-]{0,20}", fullmatch=True))[: 40 - length - len(prefix)]
    shape = CodeShape(alphabet, length, prefix, suffix)
    first %= shape.capacity - count
    codes = CodeMaker(KEY, 1, shape).codes(first, count)
    assert len({code_key(code) for code in codes}) == len(codes) == count
    for code in codes:
        assert is_well_formed(code)
        assert code.startswith(prefix)
        assert code.endswith(suffix)
        drawn = code[len(prefix) : len(code) - len(suffix)]
        assert len(drawn) == length
        assert set(drawn) <= set(alphabet)


def test_codes_join() -> None:
    """Prevents a code that depends on how many were asked for at once."""
    maker = CodeMaker(KEY, 1, CodeShape(ALPHANUMERIC, 8))
    assert maker.codes(0, 10_000) == [code for first in range(0, 10_000, 2_500) for code in maker.codes(first, 2_500)]


def test_a_series_can_be_issued_to_its_last_code() -> None:
    """Prevents codes that come twice, or not at all, where a series is nearly used up."""
    maker = CodeMaker(KEY, 1, CodeShape(DIGITS, 4))
    assert sorted(maker.codes(0, maker.capacity)) == [f"{number:04}" for number in range(10**4)]
    with pytest.raises(AssertionError):
        maker.codes(maker.capacity, 1)


def test_each_series_has_an_order_of_its_own() -> None:
    """Prevents a customer who learns from one series, org or length what another's next codes are."""
    shape = CodeShape(DIGITS, 8)
    makers = [
        CodeMaker(KEY, 1, shape),
        CodeMaker(KEY, 2, shape),
        CodeMaker(bytes(32), 1, shape),
        CodeMaker(KEY, 1, CodeShape(DIGITS, 9)),
        CodeMaker(KEY, 1, CodeShape(UNAMBIGUOUS, 8)),
    ]
    starts = [{code[:8] for code in maker.codes(0, 50)} for maker in makers]
    assert len(set[str]().union(*starts)) == 250


@pytest.mark.parametrize(
    ("fields", "alphabet"),
    [
        ({}, ALPHANUMERIC),
        ({"alpha_numeric": False}, DIGITS),
        ({"unambiguous_code": True}, UNAMBIGUOUS),
        ({"alpha_numeric": False, "unambiguous_code": True}, DIGITS),  # digits alone are not mistaken for letters
    ],
    ids=str,
)
def test_alphabet_of_a_series(fields: dict[str, Any], alphabet: str) -> None:
    assert shape_of(terms(**fields), OrgSettings()) == CodeShape(alphabet, 8)


@pytest.mark.parametrize(
    ("own", "is_enabled", "overrides", "orgs", "used"),
    [
        (None, False, False, "", ""),
        ("S", False, False, "", ""),
        (None, True, False, "", ""),
        ("S", True, False, "", "S"),
        ("S", True, False, "O", "O"),
        ("S", True, True, "O", "S"),
        ("S", True, True, "", "S"),
        ("S", False, False, "O", "O"),
        ("S", False, True, "O", ""),
        (None, False, True, "O", ""),
    ],
)
def test_affix_of_a_series(own: str | None, is_enabled: bool, overrides: bool, orgs: str, used: str) -> None:
    """The table of rules 2: the series' affix when it overrides, else the org's, if it has one."""
    before = terms(coupon_prefix=own, is_prefix_enabled=is_enabled, org_prefix_override=overrides, random_code_length=10)
    after = terms(coupon_suffix=own, is_suffix_enabled=is_enabled, org_suffix_override=overrides, random_code_length=10)
    assert shape_of(before, OrgSettings(code_prefix=orgs)) == CodeShape(ALPHANUMERIC, 10, prefix=used)
    assert shape_of(after, OrgSettings(code_suffix=orgs)) == CodeShape(ALPHANUMERIC, 10, suffix=used)


@pytest.mark.parametrize(
    ("shape", "max_create", "refused"),
    [
        (CodeShape(ALPHANUMERIC, 40), -1, None),
        (CodeShape(ALPHANUMERIC, 30, "12345", "67890"), -1, None),
        (CodeShape(ALPHANUMERIC, 31, "12345", "67890"), -1, "at most 40"),
        (CodeShape(ALPHANUMERIC, 8, " A"), -1, "at most 40"),
        (CodeShape(ALPHANUMERIC, 8, "", "A\n"), -1, "at most 40"),
        (CodeShape(ALPHANUMERIC, 8, "É"), -1, "at most 40"),
        (CodeShape(ALPHANUMERIC, 8, "A+"), -1, "at most 40"),
        (CodeShape(DIGITS, 4), -1, None),
        (CodeShape(DIGITS, 4), 0, None),
        (CodeShape(DIGITS, 4), 1, None),
        (CodeShape(DIGITS, 4), 2, "one guess in 5,000.0 hits; at most 1 keep"),
        (CodeShape(DIGITS, 8), 10_000, None),
        (
            CodeShape(DIGITS, 8),
            10_001,
            "with 10,001 of 100,000,000 possible codes in use, one guess in 9,999.0 hits; at most 10,000 keep",
        ),
        (CodeShape(ALPHANUMERIC, 4), 167, None),
        (CodeShape(ALPHANUMERIC, 4), 168, "at most 167 keep it at one in 10,000"),
        (CodeShape(ALPHANUMERIC, 8), 2**31 - 1, "at most 282,110,990 keep"),
        (CodeShape(ALPHANUMERIC, 9), 2**31 - 1, None),
    ],
    ids=str,
)
def test_shape_is_refused(shape: CodeShape, max_create: int, refused: str | None) -> None:
    """744, with a text that says what would do; exactly at the odds it is accepted."""
    problem = shape_problem(shape, max_create)
    if refused is None:
        assert problem is None
    else:
        assert problem is not None
        assert (problem.code, problem.message) == (744, "Couldn't save coupon series fields")
        assert refused in problem.detail


@pytest.mark.parametrize(
    ("shape", "max_create", "issued", "warns"),
    [
        (CodeShape(ALPHANUMERIC, 8), -1, 0, False),
        (CodeShape(ALPHANUMERIC, 8), -1, 282_110_991, True),
        (CodeShape(DIGITS, 8), -1, 0, True),
        (CodeShape(DIGITS, 9), -1, 0, False),
        (CodeShape(DIGITS, 9), -1, 100_001, True),
        (CodeShape(DIGITS, 8), 10_000, 0, False),
        (CodeShape(DIGITS, 8), 10_000, 10_001, True),
    ],
    ids=str,
)
def test_owner_is_warned(shape: CodeShape, max_create: int, issued: int, warns: bool) -> None:
    """A series without a bound is not refused, but its owner hears what 100,000 codes would do, and what too many do."""
    assert (guess_warning(shape, max_create, issued) is not None) is warns


def test_owner_is_told_that_codes_will_run_out() -> None:
    shape = CodeShape(DIGITS, 4)
    assert guess_warning(shape, -1) == "the codes will run out: 100,000 are wanted, and 10,000 are possible"
    assert "one guess in" in (guess_warning(shape, 10_000) or "")
    problem = shape_problem(shape, 10_001)
    assert problem
    assert "run out" in problem.detail
