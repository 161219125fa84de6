"""Who is asking: Basic for tills, tokens for OAuth clients (README 2.1, 2.2), once verified then remembered; people by session.

The memory is keyed by a keyed hash of what was sent, so it holds no credential. A wrong password and an unknown name take the
same statements and the same password check. Checks run on threads of their own and are bounded in number, so that guessing
passwords costs the guesser time and everybody else next to nothing.
"""

import asyncio
import binascii
import secrets
from base64 import b64decode
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import Final, Literal

from couponry.api.call import Call
from couponry.api.people import ADMIN
from couponry.api.principals import Principal
from couponry.api.recall import Recall
from couponry.api.tokens import Tokens
from couponry.core.form_secret import is_form_secret
from couponry.core.limits import CREDENTIAL_CHARS_MAX, PRINCIPAL_CACHE_MAX
from couponry.core.proxies import Network, client_address
from couponry.core.status import Code
from couponry.store.directory import Directory, DirectoryUnreadable, Grant, Identity, Login
from couponry.store.password_checks import PasswordChecks
from couponry.store.sessions import COOKIE

_MD5_HEX_CHARS: Final = 32
_HEX: Final = frozenset("0123456789abcdef")

Kind = Literal["till", "client"]


class Authenticator:
    """Verifies credentials against the directory. Used from one event loop."""

    def __init__(
        self,
        directory: Directory,
        tokens: Tokens,
        clock: Callable[[], int],
        trusted_proxies: tuple[Network, ...] = (),
        secret: bytes = b"",
    ) -> None:
        self._directory = directory
        self._tokens = tokens
        self._clock = clock
        self._trusted_proxies = trusted_proxies
        self._secret = secret
        self._hash_key = secrets.token_bytes(32)
        self._principals: Recall[Principal] = Recall(clock, PRINCIPAL_CACHE_MAX)
        self._checks = PasswordChecks(clock)

    async def principal_of(self, call: Call) -> Principal | Code:
        """Who sent this request, or the code that refuses it. A known credential costs microseconds and no waiting."""
        token = call.raw_header(b"x-cap-api-oauth-token") or call.raw_header(b"cap-api-access-token")
        sent = token or call.raw_header(b"authorization")
        if not sent:
            return await self._by_session(call)
        if len(sent) > CREDENTIAL_CHARS_MAX:
            return Code.UNAUTHENTICATED
        key = self._digest(b"token" if token else b"header", sent)
        known = self._principals.fresh(key)
        if known is None:
            known = await self._principals.ask(key, partial(self._verify, call, sent, is_token=bool(token)))
        if isinstance(known, Principal) and known.expires_ms and self._clock() >= known.expires_ms:
            return Code.UNAUTHENTICATED
        return known

    async def client_of(self, call: Call, key: str, secret: str) -> Principal | Code:
        """The OAuth client with this key and secret."""
        digest = self._digest(b"client", key.encode(), secret.encode())
        return await self._principals.ask(digest, lambda before: self._by_secret(call, "client", key, secret, before))

    def address_of(self, call: Call) -> str:
        """Who really connected."""
        return client_address(call.remote_addr, call.header(b"x-forwarded-for"), self._trusted_proxies)

    def close(self) -> None:
        """Stop the threads that check passwords."""
        self._checks.close()

    async def _verify(self, call: Call, sent: bytes, before: Principal | None, *, is_token: bool) -> Principal | Code:
        try:
            text = sent.decode("ascii").strip()
        except UnicodeDecodeError:
            return Code.UNAUTHENTICATED
        scheme, _, credential = ("bearer", "", text) if is_token else text.partition(" ")
        if scheme.lower() == "bearer":
            return await self._by_token(credential.strip())
        basic = _basic(credential.strip()) if scheme.lower() == "basic" else None
        return await self._by_secret(call, "till", *basic, before) if basic else Code.UNAUTHENTICATED

    async def _by_session(self, call: Call) -> Principal | Code:
        """Somebody signed in at the console, at the admin API alone. Nothing is remembered: a session ends at once.

        A write carries the session's own secret, which no other site can know; reads change nothing.
        """
        token = call.cookies.get(COOKIE, "") if call.path.startswith(ADMIN) else ""
        if not token:
            return Code.UNAUTHENTICATED
        try:
            session = await asyncio.to_thread(self._directory.session, token, self._clock())
        except DirectoryUnreadable as error:
            return error.code
        if session is None:
            return Code.UNAUTHENTICATED
        person, sent = session.person, call.header(b"x-csrf-token")
        is_safe = call.method in {"GET", "HEAD"} or is_form_secret(self._secret, token, sent)
        if person.must_change or not is_safe:
            return Code.ACCESS_DENIED
        login = Login(person.org_id, person.id, "")
        identity = Identity(
            "user", login, person.email, session.org, None, is_active=True, data_access=Grant.NONE, config_access=Grant.NONE
        )
        return Principal(identity, f"user:{person.org_id}:{person.id}", role=person.role)

    async def _by_token(self, token: str) -> Principal | Code:
        claims = self._tokens.read(token)
        if claims is None:
            return Code.UNAUTHENTICATED
        login = await asyncio.to_thread(self._directory.login, "client", claims["client_key"])
        if login is None or (login.id, login.org_id) != (claims.get("client_id"), claims.get("org_id")):
            return Code.UNAUTHENTICATED
        return await self._principal("client", login, expires_ms=claims["exp"] * 1000)

    async def _by_secret(self, call: Call, kind: Kind, name: str, secret: str, before: Principal | None) -> Principal | Code:
        """Check a password, unless it is the one that this very hash was checked for before."""
        login = await asyncio.to_thread(self._directory.login, kind, name)
        if before is None or login != before.identity.login:
            refused = await self._check(call, (kind, name), secret, login)
            if refused:
                return refused
        return await self._principal(kind, login) if login else Code.UNAUTHENTICATED

    async def _principal(self, kind: Kind, login: Login, expires_ms: int = 0) -> Principal | Code:
        read = self._directory.till_identity if kind == "till" else self._directory.client_identity
        identity: Identity | None = await asyncio.to_thread(read, login)
        if identity is None or not identity.is_active:
            return Code.UNAUTHENTICATED
        if kind == "till" and identity.org and not identity.org.settings.basic_auth_enabled:
            return Code.UNAUTHENTICATED
        return Principal(identity, f"{kind}:{login.org_id}:{login.id}", expires_ms)

    async def _check(self, call: Call, name: tuple[Kind, str], secret: str, login: Login | None) -> Code | None:
        return await self._checks.refusal(name, self.address_of(call), secret, login.secret_hash if login else None)

    def _digest(self, *parts: bytes) -> bytes:
        return blake2b(b"\0".join(parts), key=self._hash_key, digest_size=16).digest()


def _basic(encoded: str) -> tuple[str, str] | None:
    """(till code, lower-case MD5) of a Basic credential, or None when it cannot be one."""
    try:
        name, colon, digest = b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    digest = digest.lower()
    is_one = bool(name and colon) and len(digest) == _MD5_HEX_CHARS and _HEX.issuperset(digest) and name.isprintable()
    return (name, digest) if is_one else None
