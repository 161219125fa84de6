"""OAuth access tokens: JWTs signed with a key derived from the server's secret (README 2.2)."""

import secrets
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from couponry.core.limits import TOKEN_S_MAX
from couponry.store.directory import Identity

_ALGORITHM: Final = "HS256"
_ISSUER: Final = "couponry"
_USE: Final = "token_access"


class Tokens:
    """Makes and reads tokens of one server secret."""

    def __init__(self, secret_key: str, clock: Callable[[], int]) -> None:
        derived = blake2b(secret_key.encode(), person=b"couponry-jwt", digest_size=32).digest()
        self._key = OctKey.import_key(derived)
        self._clock = clock

    def issue(self, client: Identity) -> tuple[str, int]:
        """A new token for an OAuth client, and its lifetime in seconds."""
        now_s = self._clock() // 1000
        ttl_s = min(client.token_ttl_s, TOKEN_S_MAX)
        claims = {
            "iss": _ISSUER,
            "sub": str(client.login.id),
            "iat": now_s,
            "exp": now_s + ttl_s,
            "jti": secrets.token_hex(16),
            "client_id": client.login.id,
            "org_id": client.login.org_id,
            "token_use": _USE,
            "client_key": client.name,
            "default_till": client.till.code if client.till else "",
            "scopes": ["coupon", "admin"] if client.is_admin else ["coupon"],
        }
        return jwt.encode({"alg": _ALGORITHM}, claims, self._key, algorithms=[_ALGORITHM]), ttl_s

    def read(self, token: str) -> dict[str, Any] | None:
        """The claims of a token that we signed and that has not expired."""
        try:
            claims = jwt.decode(token, self._key, algorithms=[_ALGORITHM]).claims
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            return None
        is_ours = claims.get("iss") == _ISSUER and claims.get("token_use") == _USE
        is_whole = isinstance(claims.get("exp"), int) and isinstance(claims.get("client_key"), str)
        return claims if is_ours and is_whole and claims["exp"] * 1000 > self._clock() else None
