"""The one way from the edge to an issue or a resend: past the gateways of an org that sends synchronously (J13, 794 and 799).

As with hooks, the ledger is asked after the gateway and never meanwhile. What is sent, is sent by the outbox.
"""

import asyncio
from typing import Final, TypeVar

from msgspec.structs import replace

from couponry.core.commands import Issue, Resend
from couponry.core.deliveries import Channel
from couponry.core.model import Org
from couponry.core.plan import Outcome
from couponry.core.rules.sending import gateway
from couponry.ledger import Ledger
from couponry.outbound.gateways import Gateways

_CHANNELS: Final = (Channel.SMS, Channel.EMAIL)

C = TypeVar("C", Issue, Resend)


class Issuing:
    """Issues and resends through the ledger."""

    def __init__(self, ledger: Ledger, gateways: Gateways) -> None:
        self._ledger = ledger
        self._gateways = gateways

    async def submit(self, org: Org, command: C) -> Outcome:
        """Look at the gateways if messages must be sure to go out, then issue or resend."""
        if org.settings.messages_sync:
            command = await self._with_gateways(org, command)
        return await self._ledger.submit(command)

    def close(self) -> None:
        """Look no more."""
        self._gateways.close()

    async def _with_gateways(self, org: Org, command: C) -> C:
        assert org.id == command.org_id, "the settings are this org's"
        urls = [(channel, url) for channel in _CHANNELS if (url := gateway(org, channel))]
        found = await asyncio.gather(*(self._gateways.problem(channel, url) for channel, url in urls))
        problems = [(channel, code) for (channel, _), code in zip(urls, found, strict=True) if code]
        return replace(command, no_gateway=tuple(problems))
