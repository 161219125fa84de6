"""What the application is put together from; the composition root makes them."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from couponry.api.attribution import Attribution
from couponry.api.authentication import Authenticator
from couponry.api.hooks import Issuing, Redeeming
from couponry.api.tokens import Tokens
from couponry.api.v1_1.wire import Wires
from couponry.core.validation import Vault
from couponry.ledger import Ledger
from couponry.outbound import Signer
from couponry.outbound.addresses import Network
from couponry.store.back_office import BackOffice
from couponry.store.folder import Folder
from couponry.store.webhooks import Names
from couponry.telemetry import Metrics, RequestIds


@dataclass(frozen=True, kw_only=True)
class Parts:
    """One worker process's parts. `clock` gives epoch milliseconds, `new_code` a random series code.

    `allowed_networks` are private ones that webhooks may reach. A `is_demo` server shows its messages to whoever asks.
    """

    ledger: Ledger
    redeeming: Redeeming
    issuing: Issuing
    back_office: BackOffice
    authenticator: Authenticator
    attribution: Attribution
    tokens: Tokens
    vault: Vault
    signer: Signer
    allowed_networks: Sequence[Network]
    folder: Folder
    wires: Wires
    metrics: Metrics
    request_ids: RequestIds
    rate_limits: Mapping[str, int]
    clock: Callable[[], int]
    new_code: Callable[[], str]
    new_validation_code: Callable[[], str]
    new_webhook_names: Callable[[], Names]
    is_demo: bool
    announce: Callable[[], Coroutine[Any, Any, None]]
    on_stop: Callable[[], None]
