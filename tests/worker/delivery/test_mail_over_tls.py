"""Mail servers that want TLS and a login."""

import datetime as dt
import ssl
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from couponry.core import emails
from couponry.core.deliveries import Channel
from tests.api.shop import Shop
from tests.worker.delivery.mailserver import MailServer
from tests.worker.delivery.post import Post

MIRA = "mira@example.com"
MAIL = emails.plain("Your voucher", "H4TQ9ZKM").body()


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    """Of a server whose certificate nobody but itself has signed."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(tz=dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.com")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = tmp_path / "server.pem"
    path.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(path)
    return made


class Guarded(MailServer):
    """Takes nothing without TLS, and after STARTTLS nothing without a login."""

    def __init__(self, context: ssl.SSLContext, mode: str) -> None:
        super().__init__()
        self.context, self.mode = context, mode
        self.ssl = context if mode == "ssl" else None

    def _connected(self) -> SMTP:
        self.connections += 1
        return SMTP(
            self,
            hostname="mail.example.com",
            loop=self._loop,
            tls_context=self.context if self.mode == "starttls" else None,
            auth_required=self.mode == "starttls",
            auth_require_tls=self.mode == "starttls",
            authenticator=_authenticated,
        )


def _authenticated(*args: Any) -> AuthResult:
    told = args[-1]
    assert isinstance(told, LoginPassword)
    return AuthResult(success=(told.login, told.password) == (b"shop", b"s cret"), handled=False)


@pytest.mark.parametrize("mode", ["ssl", "starttls"])
@pytest.mark.parametrize(
    ("password", "more", "came"),
    [
        ("s%20cret", "&verify=no", ("delivered", "")),
        ("wrong", "&verify=no", ("waiting", "SMTP 535: not logged in")),
        ("s%20cret", "", ("waiting", "no SMTP answer: ")),
    ],
)
def test_a_server_that_wants_tls_and_a_login(
    shop: Shop, context: ssl.SSLContext, mode: str, password: str, more: str, came: tuple[str, str]
) -> None:
    post = Post(shop)
    with Guarded(context, mode) as server:
        url = f"mailtos://shop:{password}@127.0.0.1:{server.port}?from=shop@example.com&mode={mode}{more}"
        shop.set(emailUrl=url)
        post.put(Channel.EMAIL, 1, 1, address=MIRA, body=MAIL)
        post.round()
    rows = post.rows("state", "problem")
    assert rows[0][0] == came[0]
    assert rows[0][1].startswith(came[1])
    assert len(server.accepted) == (2 if came[0] == "delivered" else 0)
