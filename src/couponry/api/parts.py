"""What the application is put together from; the composition root makes them."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from couponry.api.attribution import Attribution
from couponry.api.authentication import Authenticator
from couponry.api.back_office import BackOffice
from couponry.api.hooks import Redeeming
from couponry.api.tokens import Tokens
from couponry.api.v1_1.wire import Wires
from couponry.core.validation import Vault
from couponry.ledger import Ledger
from couponry.store.folder import Folder
from couponry.telemetry import Metrics, RequestIds


@dataclass(frozen=True, kw_only=True)
class Parts:
    """One worker process's parts. `clock` gives epoch milliseconds, `new_code` a random series code."""

    ledger: Ledger
    redeeming: Redeeming
    back_office: BackOffice
    authenticator: Authenticator
    attribution: Attribution
    tokens: Tokens
    vault: Vault
    folder: Folder
    wires: Wires
    metrics: Metrics
    request_ids: RequestIds
    rate_limits: Mapping[str, int]
    clock: Callable[[], int]
    new_code: Callable[[], str]
    new_validation_code: Callable[[], str]
    announce: Callable[[], Coroutine[Any, Any, None]]
    on_stop: Callable[[], None]
