"""The one way from the edge to a redemption: past the org's hooks, whatever the wire.

The ledger is asked before and after a hook, never meanwhile, so a slow hook holds up nobody but its own request.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from couponry.api.hooks import effects
from couponry.api.hooks.effects import Effect
from couponry.core import hook_messages
from couponry.core.commands import Check, Claim, Redeem
from couponry.core.model import Org
from couponry.core.plan import Answer, CheckAnswer, Outcome, failure
from couponry.core.status import Code
from couponry.ledger import Ledger
from couponry.outbound import Received, Sender
from couponry.store import side_effects
from couponry.store.back_office import BackOffice


class Redeemed(Struct, frozen=True):
    """An outcome, the loyalty effects that the org's hook named, and 687 when it has not named them yet."""

    outcome: Outcome
    side_effects: tuple[Effect, ...] = ()
    warnings: tuple[Code, ...] = ()


class Redeeming:
    """Redeems through the ledger, with the org's hooks around it. `new_id` names a message that nothing else names."""

    def __init__(self, ledger: Ledger, back_office: BackOffice, sender: Sender, new_id: Callable[[], str]) -> None:
        self._ledger = ledger
        self._back_office = back_office
        self._sender = sender
        self._new_id = new_id

    async def submit_redeem(self, org: Org, command: Redeem) -> Outcome:
        """Ask the pre-redeem hook if there is something to ask it, then redeem."""
        asked = await self._asked(org, command)
        return failure(command, asked) if isinstance(asked, Code) else await self._ledger.submit(asked)

    async def ask_ahead(self, org: Org, commands: Sequence[Redeem | Code]) -> list[Redeem | Code]:
        """The commands with the pre-redeem hook's verdicts, asked for all at once: a hundred items wait no longer than one.

        A code is an item that was refused already, or that could not be checked.
        """
        if not org.settings.pre_redeem_hook_url:
            return list(commands)
        return await asyncio.gather(*(self._asked(org, command) for command in commands))

    async def submit_with_effects(self, org: Org, command: Redeem) -> Redeemed:
        """Redeem for v1.1, after `ask_ahead`: the side-effects hook is told of a redemption once it is committed.

        What it has to be told is a row of the redemption's own transaction, taken away when it has been told.
        """
        if not org.settings.side_effects_hook_url:
            return Redeemed(await self._ledger.submit(command))
        command = replace(command, has_side_effects=True)
        outcome = await self._ledger.submit(command)
        answer = outcome.answer
        assert isinstance(answer, Answer), "a redeem is answered by an Answer"
        if answer.status is not Code.PROCESSED:
            return Redeemed(outcome)
        told = await self._waiting(org, answer) if outcome.replayed else await self._told(org, command, answer)
        return Redeemed(outcome, told or (), () if told is not None else (Code.SIDE_EFFECTS_QUEUED,))

    async def close(self) -> None:
        """Let go of connections."""
        await self._sender.close()

    async def _asked(self, org: Org, command: Redeem | Code) -> Redeem | Code:
        if isinstance(command, Code) or not org.settings.pre_redeem_hook_url:
            return command
        assert org.id == command.org_id, "the settings are this org's"
        accepted = await self._accepted(org, command)
        return accepted if isinstance(accepted, Code) else replace(command, hook_accepted=accepted)

    async def _accepted(self, org: Org, command: Redeem) -> bool | Code | None:
        """C21. None when nothing asks for the hook, or when another rule refuses first: the ledger will say which.

        A check tells. It also spares the hook the repeat of a redeem that used its coupon up.
        """
        claim = {name: getattr(command, name) for name in Claim.__struct_fields__}
        checked = (await self._ledger.submit(Check(**claim))).answer
        assert isinstance(checked, CheckAnswer), "a check is answered by a CheckAnswer"
        if checked.status.is_service_failure:
            return checked.status
        if not checked.items or any(item.outcome.status is not Code.REDEEMABLE for item in checked.items):
            return None
        if not any(item.series and item.series.terms.is_pre_redeem_event_required for item in checked.items):
            return None
        body = hook_messages.pre_redeem(command, checked)
        answer = await self._sender.send(org.id, org.settings.pre_redeem_hook_url, f"pre_{self._new_id()}", body)
        return isinstance(answer, Received) and answer.is_accepted

    async def _told(self, org: Org, command: Redeem, answer: Answer) -> tuple[Effect, ...] | None:
        """The effects of all its redemptions; None when some are to come later."""
        assert answer.customer, "a redeemed coupon has a redeemer"
        bodies = {item.redemption_id: hook_messages.side_effects(command, answer.customer, item) for item in answer.items}
        said = await asyncio.gather(*(self._ask_effects(org, redemption_id, body) for redemption_id, body in bodies.items()))
        heard = [redemption_id for redemption_id, answered in zip(bodies, said, strict=True) if answered]
        if heard:
            await self._back_office.write(partial(side_effects.forget, org_id=org.id, redemption_ids=heard))
        if any(answered is None or answered.is_queued for answered in said):
            return None
        return tuple(effect for answered in said if answered for effect in answered.side_effects)

    async def _ask_effects(self, org: Org, redemption_id: int, body: bytes) -> effects.Answer | None:
        message_id = side_effects.message_id(org.id, redemption_id)
        answer = await self._sender.send(org.id, org.settings.side_effects_hook_url, message_id, body)
        return effects.read(answer) if isinstance(answer, Received) else None

    async def _waiting(self, org: Org, answer: Answer) -> tuple[Effect, ...] | None:
        """Of a redeem that was answered before: no effects again, or None while the hook has still to be told."""
        redeemed = [item.redemption_id for item in answer.items]
        waiting = await self._back_office.read(partial(side_effects.waiting, org_id=org.id, redemption_ids=redeemed))
        return () if waiting == [] else None
