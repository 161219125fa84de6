"""What every form of a session carries, and no other site can know."""

import hmac


def form_secret(secret: bytes, token: str) -> str:
    """Made from the installation's secret and the session's token, so that it need not be kept."""
    return hmac.digest(hmac.digest(secret, b"console forms", "sha256"), token.encode(errors="surrogatepass"), "sha256").hex()


def is_form_secret(secret: bytes, token: str, sent: str) -> bool:
    """Whether this is it, in constant time."""
    return hmac.compare_digest(form_secret(secret, token).encode(), sent.encode(errors="surrogatepass"))
