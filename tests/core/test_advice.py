"""Whatever a redemption is refused with, somebody is told what to do about it."""

import pytest

from couponry.core.advice import ADVICE, advice
from couponry.core.status import Code

_NO_REFUSALS = {
    Code.PROCESSED,
    Code.REDEEMABLE,
    Code.VALIDATION_NOT_REQUIRED,
    Code.SOME_FAILED,
    Code.SIDE_EFFECTS_QUEUED,
}
_REFUSING = [code for code in Code if {"*", "R", "Q"} & set(code.on.split()) and code not in _NO_REFUSALS]


@pytest.mark.parametrize("code", _REFUSING)
def test_each_refusal_of_a_redemption_has_its_advice(code: Code) -> None:
    own = ADVICE[code]
    for sentence in (own.meaning, own.for_marketer, own.for_agent):
        assert sentence.endswith(".")
        assert sentence[0].isupper()


def test_any_other_code_says_what_it_says() -> None:
    assert advice(Code.SERIES_CODE_TAKEN).meaning == f"{Code.SERIES_CODE_TAKEN.message}."
