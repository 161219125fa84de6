"""Passwords compared: on threads of their own and bounded in number, so that guessing costs the guesser time and others little.

A wrong password and an unknown name take the same check. Those who failed before wait first, and hold nothing that others need.
"""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from hashlib import blake2b

from couponry.core.limits import CREDENTIAL_CHARS_MAX, PASSWORD_CHECKS_MAX, PASSWORD_THREADS, PASSWORD_WAITERS_MAX
from couponry.core.proxies import site_of
from couponry.core.slowdown import Slowdown
from couponry.core.status import Code
from couponry.store import passwords


class PasswordChecks:
    """One process's checks. Used from one event loop."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._hash_key = secrets.token_bytes(32)
        self._slowdown = Slowdown(clock)
        self._checks = 0
        self._waiting = 0
        self._threads = ThreadPoolExecutor(PASSWORD_THREADS, "password")

    async def refusal(self, name: tuple[str, str], address: str, secret: str, stored: str | None) -> Code | None:
        """Compare with the stored hash, or with a hash of nobody's: None for the right secret.

        `name` is the kind of name and the name; `address` is whose tries slow each other down. What is refused without a look
        (789: too many at once) is no failure.
        """
        keys = (self._digest(*name), site_of(address))
        wait_ms = self._slowdown.wait_ms(*keys)
        if len(secret) > CREDENTIAL_CHARS_MAX or (wait_ms and not await self._slow_down(wait_ms)):
            return Code.UNAUTHENTICATED
        if self._checks >= PASSWORD_CHECKS_MAX:
            return Code.OVERLOADED
        self._checks += 1
        try:
            is_right = await asyncio.get_running_loop().run_in_executor(self._threads, _is_right, secret, stored)
        finally:
            self._checks -= 1
        (self._slowdown.succeeded if is_right else self._slowdown.failed)(*keys)
        return None if is_right else Code.UNAUTHENTICATED

    async def hashed(self, secret: str) -> str:
        """The hash to store of a new password."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, passwords.hashed, secret)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _slow_down(self, wait_ms: int) -> bool:
        """Let those who failed before wait; False when too many are waiting already."""
        if self._waiting >= PASSWORD_WAITERS_MAX:
            return False
        self._waiting += 1
        try:
            await asyncio.sleep(wait_ms / 1000)
        finally:
            self._waiting -= 1
        return True

    def _digest(self, *parts: str) -> bytes:
        text = "\0".join(parts).encode(errors="surrogatepass")
        return blake2b(text, key=self._hash_key, digest_size=16).digest()


@lru_cache(maxsize=1)
def _hash_of_nobody() -> str:
    return passwords.hashed(secrets.token_hex(16))


def _is_right(secret: str, stored: str | None) -> bool:
    return passwords.is_secret(secret, stored or _hash_of_nobody()) and stored is not None
