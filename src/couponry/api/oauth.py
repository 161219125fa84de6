"""`POST /v3/oauth/token/generate`: an OAuth client's key and secret for an access token (README 2.2)."""

from typing import Final

import falcon.asgi
import msgspec
from msgspec import Struct

from couponry.api.authentication import Authenticator
from couponry.api.call import Call, Reply
from couponry.api.envelopes import v3_failure
from couponry.api.tokens import Tokens
from couponry.api.v2.requests import is_json
from couponry.core.limits import IDENTIFIER_CHARS_MAX
from couponry.core.status import Code

_FAILED: Final = "Failed to generate OAuth token"


class TokenBody(Struct):
    """An OAuth client's credential."""

    key: str
    secret: str


class Token(Struct, rename="camel"):
    """An access token and its lifetime."""

    access_token: str
    ttl_seconds: int


class TokenResponse(Struct):
    """The token in a v3 envelope."""

    data: Token
    errors: None = None


class TokenGenerate:
    """Hands out a new token per call."""

    def __init__(self, authenticator: Authenticator, tokens: Tokens) -> None:
        self._authenticator = authenticator
        self._tokens = tokens

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Check the secret, issue a token."""
        raw = await req.body()
        body = raw if isinstance(raw, Code) else _decoded(raw)
        client = body if isinstance(body, Code) else await self._authenticator.client_of(req, body.key, body.secret)
        if client is Code.UNAUTHENTICATED:
            v3_failure(client, _FAILED).write(resp)
        elif isinstance(client, Code):
            v3_failure(client).write(resp)
        else:
            token, ttl_s = self._tokens.issue(client.identity)
            Reply(200, msgspec.json.encode(TokenResponse(Token(token, ttl_s)))).write(resp)
            resp.set_header("Cache-Control", "no-store")


def _decoded(raw: bytes) -> TokenBody | Code:
    """400 for what is not JSON; JSON without a key and a secret that could be somebody's is a failed login."""
    try:
        body = msgspec.json.decode(raw, type=TokenBody)
    except msgspec.ValidationError:
        return Code.UNAUTHENTICATED if is_json(raw) else Code.MALFORMED
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Code.MALFORMED
    is_possible = (
        0 < len(body.key) <= IDENTIFIER_CHARS_MAX and body.key.isprintable() and len(body.secret) <= IDENTIFIER_CHARS_MAX
    )
    return body if is_possible else Code.UNAUTHENTICATED
