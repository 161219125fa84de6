"""Generated coupon codes (rules 2 and 3): what those of a series look like, how many there are, and which code a serial becomes.

A series numbers its codes 0, 1, 2, ...; FF1 under a key of its own turns the numbers into codes. So no code comes twice, whoever
asks for how many, and nobody without the org's key can tell the next one from those that he has seen.
"""

from hashlib import blake2b
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from couponry.core.codes import is_well_formed
from couponry.core.ff1 import Ff1
from couponry.core.limits import CODE_CHARS_MAX
from couponry.core.model import Terms
from couponry.core.org_settings import OrgSettings
from couponry.core.problem import Problem

DIGITS: Final = "0123456789"
ALPHANUMERIC: Final = f"{DIGITS}ABCDEFGHIJKLMNOPQRSTUVWXYZ"
UNAMBIGUOUS: Final = "".join(letter for letter in ALPHANUMERIC if letter not in "0O1IL")

ORG_KEY_BYTES: Final = 32
GUESSES_PER_HIT_MIN: Final = 10_000
# What a series without `maxCreate` is taken to grow to, when its owner is warned.
UNCAPPED_CODES_EXPECTED: Final = 100_000
_NOT_SAVED: Final = "Couldn't save coupon series fields"


class CodeShape(Struct, frozen=True):
    """What the codes of a series look like: `length` letters of the alphabet between the affixes."""

    alphabet: str
    length: int
    prefix: str = ""
    suffix: str = ""

    @property
    def capacity(self) -> int:
        """How many codes of this shape there are."""
        codes: int = len(self.alphabet) ** self.length
        return codes

    @property
    def codes_safe(self) -> int:
        """How many of them may be in use before a random guess hits one with more than 1 in 10,000 odds."""
        return self.capacity // GUESSES_PER_HIT_MIN


def shape_of(terms: Terms, settings: OrgSettings) -> CodeShape:
    """The shape that a series' terms ask for in an org. An org's affix gives way only to a series that overrides it (rules 2)."""
    alphabet = DIGITS if not terms.alpha_numeric else UNAMBIGUOUS if terms.unambiguous_code else ALPHANUMERIC
    prefix = (terms.is_prefix_enabled and terms.coupon_prefix) or ""
    suffix = (terms.is_suffix_enabled and terms.coupon_suffix) or ""
    return CodeShape(
        alphabet,
        terms.random_code_length,
        prefix if terms.org_prefix_override else settings.code_prefix or prefix,
        suffix if terms.org_suffix_override else settings.code_suffix or suffix,
    )


def shape_problem(shape: CodeShape, max_create: int) -> Problem | None:
    """744: codes of this shape are no codes, or too easily guessed once a series has issued as many as it may (-1: unlimited)."""
    code = f"{shape.prefix}{shape.alphabet[0] * shape.length}{shape.suffix}"
    if code != code.strip() or not is_well_formed(code):
        return Problem(744, _NOT_SAVED, f"affixes and randomCodeLength must make codes of at most {CODE_CHARS_MAX}")
    return Problem(744, _NOT_SAVED, _odds(shape, max_create)) if max_create > shape.codes_safe else None


def guess_warning(shape: CodeShape, max_create: int, issued: int = 0) -> str | None:
    """What to tell the owner of a series whose size nobody bounded, or has outgrown its code space; None when all is well."""
    codes = max(issued, UNCAPPED_CODES_EXPECTED if max_create < 0 else max_create)
    return _odds(shape, codes) if codes > shape.codes_safe else None


def _odds(shape: CodeShape, codes: int) -> str:
    if codes > shape.capacity:
        return f"the codes will run out: {codes:,} are wanted, and {shape.capacity:,} are possible"
    return (
        f"with {codes:,} of {shape.capacity:,} possible codes in use, one guess in {shape.capacity / codes:,.1f} hits; "
        f"at most {shape.codes_safe:,} keep it at one in {GUESSES_PER_HIT_MIN:,}"
    )


def org_key(secret: bytes, org_id: int) -> bytes:
    """The key that an org's codes come from, made of the installation's secret: no database holds it."""
    root = blake2b(secret, person=b"couponry-codes", digest_size=ORG_KEY_BYTES).digest()
    return blake2b(org_id.to_bytes(8), key=root, person=b"couponry-org", digest_size=ORG_KEY_BYTES).digest()


class CodeMaker:
    """The codes of one series. Costs little to make and holds no state: keep it for many calls, from any thread.

    A call costs 0.15 ms whatever it makes, so that codes are best taken ahead by the hundred.
    """

    def __init__(self, org_key: bytes, series_id: int, shape: CodeShape) -> None:
        assert len(org_key) == ORG_KEY_BYTES
        self.capacity: Final = shape.capacity
        key = blake2b(series_id.to_bytes(8), key=org_key, person=b"couponry-series", digest_size=32).digest()
        self._ff1 = Ff1(key, b"", len(shape.alphabet), shape.length)
        self._letters = bytes.maketrans(bytes(range(len(shape.alphabet))), shape.alphabet.encode())
        line = f"{shape.prefix}{'?' * shape.length}{shape.suffix}\n"
        self._line = np.frombuffer(line.encode(), np.uint8)
        self._place = slice(len(shape.prefix), len(shape.prefix) + shape.length)

    def codes(self, first: int, count: int) -> list[str]:
        """The codes of the serials first, first + 1, ...; they must be below the capacity."""
        return self._lines(first, count).tobytes().decode("ascii").splitlines()

    def sorted_codes(self, first: int, count: int) -> "SortedCodes":
        """The same in the order of a database's index, which takes codes that follow one another three times as fast."""
        lines = self._lines(first, count)
        return SortedCodes(np.sort(lines.reshape(-1).view(f"S{lines.shape[1]}")))

    def _lines(self, first: int, count: int) -> NDArray[np.uint8]:
        numerals = self._ff1.permute(first, count)
        lines = np.empty((count, len(self._line)), np.uint8)
        lines[:] = self._line
        lines[:, self._place] = np.frombuffer(numerals.tobytes().translate(self._letters), np.uint8).reshape(numerals.shape)
        return lines


class SortedCodes:
    """Codes in ascending order, in a few bytes each."""

    def __init__(self, lines: NDArray[np.bytes_]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    def part(self, first: int, count: int) -> list[str]:
        """So many of them from one on, or as many as there are."""
        return self._lines[first : first + count].tobytes().decode("ascii").splitlines()
