"""FF1 of NIST SP 800-38G: a keyed permutation of the numbers below radix ** length, over a whole block of numbers at once.

A, B, P, Q, R, S and y are the standard's names. A half is a list of limbs: arrays of whole groups of numerals, the least
significant first. A group stays below 2**32, so that a limb, 32 more bits and a carry fit 64 bits.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from numpy.typing import NDArray

Numbers = NDArray[np.uint64]
Half = list[Numbers]
Unsigned = TypeVar("Unsigned", bound=np.unsignedinteger)

RADIX_MAX: Final = 256  # a numeral is a byte
DOMAIN_MIN: Final = 100  # the bound of 2016, for 10 ** 4 is a documented size; the draft of revision 1 has 10 ** 6
_ROUNDS: Final = 10
_BLOCK_BYTES: Final = 16
_WORD_BYTES: Final = 4
_BLOCK_WORDS: Final = _BLOCK_BYTES // _WORD_BYTES
_WORD_BITS: Final = 8 * _WORD_BYTES
_WORD: Final = 1 << _WORD_BITS
_ONE: Final = np.frombuffer((1).to_bytes(_BLOCK_BYTES), np.uint32)
# Rows computed together: few enough to stay in the processor's cache.
_ROWS: Final = 8192


class Ff1:
    """The permutation that an AES key, a tweak, a radix and a length stand for."""

    def __init__(self, key: bytes, tweak: bytes, radix: int, length: int) -> None:
        self.capacity: Final = radix**length
        split = length // 2
        number_bytes = ((radix ** (length - split) - 1).bit_length() + 7) // 8  # b
        assert 1 < radix <= RADIX_MAX
        assert self.capacity >= DOMAIN_MIN
        assert number_bytes < _BLOCK_BYTES, "the round's number fills no more than the last block"
        self._radix = radix
        self._length = length
        group = max(size for size in range(1, _WORD_BITS) if radix**size < _WORD)
        self._group_base = radix**group
        self._groups = _groups(split, group), _groups(length - split, group)
        self._bases = [radix**size for size in self._groups[0]], [radix**size for size in self._groups[1]]
        self._number_words = -(-number_bytes // _WORD_BYTES)
        self._cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - single blocks: the standard's CIPH
        self._rounds = self._last_blocks(key, tweak, number_bytes)

    def permute(self, first: int, count: int) -> NDArray[np.uint8]:
        """What the numbers first, first + 1, ... become: a row of `length` numerals each, the most significant first."""
        assert 0 <= first <= first + count <= self.capacity
        numerals = np.empty((count, self._length), np.uint8)
        for start in range(0, count, _ROWS):
            rows = numerals[start : start + _ROWS]
            a, b = self._mixed(*self._halves(first + start, len(rows)))
            split = self._length // 2
            self._write(rows[:, :split], a, self._groups[0])
            self._write(rows[:, split:], b, self._groups[1])
        return numerals

    def _last_blocks(self, key: bytes, tweak: bytes, number_bytes: int) -> list[NDArray[np.uint32]]:
        """The last block of P || Q for every round, as words, with all that comes before chained in; NUM(B) is still zero."""
        p = b"".join(
            (
                b"\1\2\1",
                self._radix.to_bytes(3),
                bytes((_ROUNDS, self._length // 2 % 256)),
                self._length.to_bytes(4),
                len(tweak).to_bytes(4),
            )
        )
        q = tweak + bytes((-len(tweak) - number_bytes - 1) % _BLOCK_BYTES + 1 + number_bytes)
        before, last = (p + q)[:-_BLOCK_BYTES], int.from_bytes(q[-_BLOCK_BYTES:])
        chain = Cipher(algorithms.AES(key), modes.CBC(bytes(_BLOCK_BYTES))).encryptor().update(before)
        state = int.from_bytes(chain[-_BLOCK_BYTES:]) ^ last
        rounds = (state ^ number << (8 * number_bytes) for number in range(_ROUNDS))
        return [np.frombuffer(block.to_bytes(_BLOCK_BYTES), np.uint32) for block in rounds]

    def _halves(self, first: int, count: int) -> tuple[Half, Half]:
        """The numbers first, first + 1, ... cut into halves."""
        limbs: Half = []
        carry = np.arange(count, dtype=np.uint64)
        for base in (*self._bases[1], *self._bases[0]):
            first, low = divmod(first, base)
            carry, limb = _divided(carry + low, base)
            limbs.append(limb)
        lower = len(self._bases[1])
        return limbs[lower:], limbs[:lower]

    def _mixed(self, a: Half, b: Half) -> tuple[Half, Half]:
        """The ten rounds; each encrypts one buffer."""
        encryptor = self._cipher.encryptor()
        blocks = np.empty((len(b[0]), _BLOCK_WORDS), np.uint32)
        for number, constant in enumerate(self._rounds):
            blocks[:] = constant
            for place, word in enumerate(self._words(b)):
                blocks[:, _BLOCK_WORDS - 1 - place] ^= _big_endian(word)
            bases = self._bases[number % 2]
            a, b = b, _sum(a, self._y(encryptor, blocks, bases), bases)
        return a, b

    def _words(self, half: Half) -> Half:
        """NUM of a half as words of 32 bits, the least significant first."""
        words = [half[-1]]
        for limb in half[-2::-1]:
            carry = limb
            for at, word in enumerate(words):
                total = word * self._group_base + carry
                words[at], carry = total & (_WORD - 1), total >> _WORD_BITS
            if len(words) < self._number_words:
                words.append(carry)
        return words

    def _y(self, encryptor: CipherContext, blocks: NDArray[np.uint32], bases: Sequence[int]) -> Half:
        """NUM(S) modulo the product of the bases. S is R, or R and a further block, cut to a word more than the half's number."""
        r = np.frombuffer(encryptor.update(blocks.data.cast("B")), np.uint32).reshape(-1, _BLOCK_WORDS)
        tail = [r[:, at] for at in range(2, min(_BLOCK_WORDS, self._number_words + 1))]
        if self._number_words == _BLOCK_WORDS:
            further = encryptor.update((r ^ _ONE).data.cast("B"))
            tail.append(np.frombuffer(further, np.uint32)[::_BLOCK_WORDS])
        head = r.view(">u8")[:, 0].astype(np.uint64)
        return _reduced(head, (word.view(">u4").astype(np.uint64) for word in tail), bases)

    def _write(self, rows: NDArray[np.uint8], half: Half, groups: Sequence[int]) -> None:
        """The numerals of a half, from the last to the first."""
        place = rows.shape[1]
        for limb, size in zip(half, groups, strict=True):
            rest = limb.astype(np.uint32)
            for _ in range(size):
                place -= 1
                rest, rows[:, place] = _divided(rest, self._radix)


def _groups(numerals: int, most: int) -> list[int]:
    """Numerals per limb: full groups from the least significant on, and what is left."""
    return [most] * (numerals // most) + [numerals % most] * (numerals % most > 0)


def _divided(values: NDArray[Unsigned], divisor: int) -> tuple[NDArray[Unsigned], NDArray[Unsigned]]:
    """Quotients and remainders. numpy divides by one number fast, but takes remainders slowly."""
    quotients = values // divisor
    return quotients, values - quotients * divisor


def _big_endian(words: Numbers) -> NDArray[np.uint32]:
    """Numbers below 2**32 with their bytes as the standard has them."""
    return words.astype(">u4").view(np.uint32)


def _reduced(head: Numbers, tail: Iterable[Numbers], bases: Sequence[int]) -> Half:
    """A long number modulo the product of the bases: its first 64 bits, then words of 32."""
    limbs = []
    for base in bases:
        head, limb = _divided(head, base)
        limbs.append(limb)
    for word in tail:
        carry = word
        for at, base in enumerate(bases):
            carry, limbs[at] = _divided(limbs[at] * _WORD + carry, base)
    return limbs


def _sum(a: Half, y: Half, bases: Sequence[int]) -> Half:
    """The sum modulo the product of the bases."""
    limbs = []
    carry: NDArray[np.bool_] = np.zeros(1, np.bool_)
    for ours, theirs, base in zip(a, y, bases, strict=True):
        total = ours + theirs + carry
        limb = np.minimum(total, total - base)  # what is below zero wraps to a huge number
        carry = limb < total
        limbs.append(limb)
    return limbs
