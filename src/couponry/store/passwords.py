"""How secrets are kept: argon2id, slow on purpose. A check costs about 20 ms of a core and 19 MiB, so callers cache successes.

The cost is OWASP's minimum for argon2id: a server that answers many tills must not be stopped by a few wrong passwords.
"""

from hashlib import md5
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hashed(secret: str) -> str:
    """The salted hash to store."""
    return _HASHER.hash(secret)


def is_secret(secret: str, stored: str) -> bool:
    """Whether a secret is the one whose hash is stored."""
    try:
        return _HASHER.verify(stored, secret)
    except (VerificationError, InvalidHashError):
        return False


def till_secret(password: str) -> str:
    """What a till sends instead of its password: the lower-case MD5 of it (contract README 2.1). Not our idea of a digest."""
    return md5(password.encode(), usedforsecurity=False).hexdigest()
