import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from couponry.core.segments import Segments, segments

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = "\f^{}\\[~]|€"
LETTERS = st.sampled_from(BASIC + EXTENDED) | st.sampled_from("अ नमस्ते😀你")


def naive(text: str) -> tuple[int, int]:
    """Units and parts, place by place: every letter as its own bytes, laid into parts."""
    if all(letter in BASIC + EXTENDED for letter in text):
        encoded, one, many = ["eX" if letter in EXTENDED else "x" for letter in text], 160, 153
    else:
        encoded, one, many = ["u" * (len(letter.encode("utf-16-be")) // 2) for letter in text], 70, 67
    units = len("".join(encoded))
    if units <= one:
        return units, 1 if text else 0
    parts = [""]
    for letter in encoded:
        if len(parts[-1] + letter) > many:
            parts.append("")
        parts[-1] += letter
    return units, len(parts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("GSM-7", 0, 0)),
        ("a", ("GSM-7", 1, 1)),
        ("a" * 160, ("GSM-7", 160, 1)),
        ("a" * 161, ("GSM-7", 161, 2)),
        ("a" * 306, ("GSM-7", 306, 2)),
        ("a" * 307, ("GSM-7", 307, 3)),
        ("€" * 80, ("GSM-7", 160, 1)),
        ("€" * 81, ("GSM-7", 162, 2)),
        ("a" * 152 + "€" + "a" * 152, ("GSM-7", 306, 3)),  # it does not fit the place that is left, and takes two of the next
        ("अ" * 70, ("UCS-2", 70, 1)),
        ("अ" * 71, ("UCS-2", 71, 2)),
        ("अ" * 135, ("UCS-2", 135, 3)),
        ("😀" * 35, ("UCS-2", 70, 1)),
        ("😀" * 36, ("UCS-2", 72, 2)),
        ("😀" * 67, ("UCS-2", 134, 3)),
        ("a" * 69 + "`", ("UCS-2", 70, 1)),
        ("a\tb", ("UCS-2", 3, 1)),
    ],
)
def test_table(text: str, expected: tuple[str, int, int]) -> None:
    assert segments(text) == Segments(expected[0], len(text), *expected[1:])  # type: ignore[arg-type]  # a text of the table


@given(st.text(LETTERS, max_size=400) | st.text(st.sampled_from(BASIC + EXTENDED), max_size=400))
@example("a" * 152 + "€" * 80)
def test_counts_as_a_phone_would(text: str) -> None:
    found = segments(text)
    assert (found.units, found.segments) == naive(text)
