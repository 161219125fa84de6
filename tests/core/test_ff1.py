"""FF1 against the sample vectors of NIST SP 800-38G, and against the standard's algorithm step by step, number by number."""

from typing import Final

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import example, given
from hypothesis import strategies as st

from couponry.core.ff1 import Ff1

NUMERALS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"

KEY_128: Final = "2B7E151628AED2A6ABF7158809CF4F3C"
KEY_192: Final = KEY_128 + "EF4359D8D580AA4F"
KEY_256: Final = KEY_192 + "7F036D6F04FC6A94"
TEN_BYTES: Final = "39383736353433323130"
ELEVEN_BYTES: Final = "3737373770717273373737"

# Samples 1 to 9 of FF1, in order: key, radix, tweak, plaintext, ciphertext.
SAMPLES: Final = [
    (KEY_128, 10, "", "0123456789", "2433477484"),
    (KEY_128, 10, TEN_BYTES, "0123456789", "6124200773"),
    (KEY_128, 36, ELEVEN_BYTES, "0123456789abcdefghi", "a9tv40mll9kdu509eum"),
    (KEY_192, 10, "", "0123456789", "2830668132"),
    (KEY_192, 10, TEN_BYTES, "0123456789", "2496655549"),
    (KEY_192, 36, ELEVEN_BYTES, "0123456789abcdefghi", "xbj3kv35jrawxv32ysr"),
    (KEY_256, 10, "", "0123456789", "6657667009"),
    (KEY_256, 10, TEN_BYTES, "0123456789", "1001623463"),
    (KEY_256, 36, ELEVEN_BYTES, "0123456789abcdefghi", "xs8a0azh2avyalyzuwd"),
]


def ciph(key: bytes, block: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)  # noqa: S305 - one block: the standard's CIPH


def prf(key: bytes, message: bytes) -> bytes:
    """Algorithm 6."""
    y = bytes(16)
    for at in range(0, len(message), 16):
        y = ciph(key, bytes(one ^ other for one, other in zip(y, message[at : at + 16], strict=True)))
    return y


def num(numerals: list[int], radix: int) -> int:
    """Algorithm 1."""
    x = 0
    for numeral in numerals:
        x = x * radix + numeral
    return x


def string(x: int, radix: int, length: int) -> list[int]:
    """Algorithm 3."""
    numerals = []
    for _ in range(length):
        x, numeral = divmod(x, radix)
        numerals.append(numeral)
    return numerals[::-1]


def ff1_encrypt(key: bytes, t: bytes, radix: int, x: list[int]) -> list[int]:
    """Algorithm 7, step by step."""
    n = len(x)
    u = n // 2
    v = n - u
    a, b = x[:u], x[u:]
    bits = 0  # the ceiling of v * log2(radix), without floats
    while 2**bits < radix**v:
        bits += 1
    b_bytes = -(-bits // 8)
    d = 4 * -(-b_bytes // 4) + 4
    p = bytes([1, 2, 1]) + radix.to_bytes(3) + bytes([10, u % 256]) + n.to_bytes(4) + len(t).to_bytes(4)
    for i in range(10):
        q = t + bytes((-len(t) - b_bytes - 1) % 16) + bytes([i]) + num(b, radix).to_bytes(b_bytes)
        r = prf(key, p + q)
        s = r
        for j in range(1, -(-d // 16)):
            s += ciph(key, (int.from_bytes(r) ^ j).to_bytes(16))
        y = int.from_bytes(s[:d])
        m = u if i % 2 == 0 else v
        a, b = b, string((num(a, radix) + y) % radix**m, radix, m)
    return a + b


@pytest.mark.parametrize(("key", "radix", "tweak", "plaintext", "ciphertext"), SAMPLES)
def test_nist_samples(key: str, radix: int, tweak: str, plaintext: str, ciphertext: str) -> None:
    """Prevents a permutation that is ours only, whose strength nobody has looked at."""
    ff1 = Ff1(bytes.fromhex(key), bytes.fromhex(tweak), radix, len(plaintext))
    permuted = ff1.permute(int(plaintext, radix), 1)
    assert "".join(NUMERALS[numeral] for numeral in permuted[0]) == ciphertext
    numerals = [NUMERALS.index(letter) for letter in plaintext]
    reference = ff1_encrypt(bytes.fromhex(key), bytes.fromhex(tweak), radix, numerals)
    assert "".join(NUMERALS[numeral] for numeral in reference) == ciphertext


@st.composite
def cases(draw: st.DrawFn) -> tuple[bytes, bytes, int, int, int, int]:
    """Key, tweak, radix, length, first number and count."""
    key = draw(st.sampled_from([16, 24, 32]).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
    tweak = draw(st.binary(max_size=40))
    radix = draw(st.sampled_from([10, 31, 32, 36]) | st.integers(2, 256))
    least = next(length for length in range(2, 8) if radix**length >= 100)
    most = next(length for length in range(40, 0, -1) if radix ** -(-length // 2) <= 2**120)
    length = draw(st.integers(least, most))
    count = draw(st.integers(1, 5))
    first = draw(st.integers(0, min(2**40, radix**length - count)) | st.integers(0, radix**length - count))
    return key, tweak, radix, length, first, count


@given(cases())
@example((bytes(16), b"", 36, 40, 36**40 - 3, 3))  # S is longer than a block
@example((bytes(16), b"", 10, 18, 10**9 - 2, 4))  # a carry out of a limb
@example((bytes(16), b"", 2, 7, 0, 128))  # all of a domain
@example((bytes(16), b"", 2, 64, 2**32 - 2, 4))
@example((bytes(16), b"", 256, 30, 2**120 - 2, 4))
def test_a_block_is_what_the_standard_says_of_each_number(case: tuple[bytes, bytes, int, int, int, int]) -> None:
    """Prevents an overflow, a lost carry or a wrong pad at some length or radix that no sample covers."""
    key, tweak, radix, length, first, count = case
    permuted = Ff1(key, tweak, radix, length).permute(first, count)
    expected = [ff1_encrypt(key, tweak, radix, string(number, radix, length)) for number in range(first, first + count)]
    assert permuted.tolist() == expected


@pytest.mark.parametrize(("radix", "length"), [(10, 4), (36, 4), (10, 5), (7, 6), (2, 17)])
def test_no_number_is_made_twice(radix: int, length: int) -> None:
    """Prevents two coupons with one code: over whole domains, longer than the blocks that are computed together."""
    count = min(radix**length, 200_000)
    permuted = Ff1(bytes(32), b"", radix, length).permute(radix**length - count, count)
    numbers = permuted.astype(np.uint64) @ (radix ** np.arange(length - 1, -1, -1, dtype=np.uint64))
    assert len(np.unique(numbers)) == count
    assert permuted.max() < radix


def test_blocks_join() -> None:
    """Prevents codes that depend on how many are asked for at once."""
    ff1 = Ff1(bytes(32), b"", 36, 9)
    whole = ff1.permute(10**9, 10_000)
    cut = [ff1.permute(10**9, 1), ff1.permute(10**9 + 1, 4_097), ff1.permute(10**9 + 4_098, 0), ff1.permute(10**9 + 4_098, 5_902)]
    assert np.array_equal(whole, np.concatenate(cut))


@pytest.mark.parametrize(("radix", "length"), [(10, 1), (2, 6), (1, 8), (257, 8), (256, 32)])
def test_domain_out_of_bounds(radix: int, length: int) -> None:
    with pytest.raises(AssertionError):
        Ff1(bytes(32), b"", radix, length)


@pytest.mark.parametrize(("first", "count"), [(-1, 1), (10**4, 1), (9_999, 2), (5, -1)])
def test_number_out_of_the_domain(first: int, count: int) -> None:
    """Prevents a series that runs past its last code and starts over."""
    with pytest.raises(AssertionError):
        Ff1(bytes(32), b"", 10, 4).permute(first, count)
