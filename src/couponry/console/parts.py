"""What the console is put together from; the composition root makes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from couponry.core.proxies import Network
from couponry.core.validation import Vault
from couponry.ledger import Ledger
from couponry.outbound import Signer
from couponry.store.back_office import BackOffice
from couponry.store.folder import Folder
from couponry.store.password_checks import PasswordChecks
from couponry.store.webhooks import Names
from couponry.telemetry import Metrics, RequestIds


@dataclass(frozen=True, kw_only=True)
class ConsoleParts:
    """One process's parts. `clock` gives epoch milliseconds, `new_token` 256 random bits as text, `new_code` a series code.

    `secret` is the installation's; `allowed_networks` are private ones that webhooks may reach.
    """

    ledger: Ledger
    back_office: BackOffice
    folder: Folder
    passwords: PasswordChecks
    vault: Vault
    signer: Signer
    secret: bytes
    metrics: Metrics
    request_ids: RequestIds
    clock: Callable[[], int]
    new_token: Callable[[], str]
    new_code: Callable[[], str]
    new_webhook_names: Callable[[], Names]
    allowed_networks: Sequence[Network]
    trusted_proxies: Sequence[Network]
    is_demo: bool
