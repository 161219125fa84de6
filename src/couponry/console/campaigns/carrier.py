"""What is done once a second person has approved a launch: the launch."""

from couponry.console.carrying import Carried
from couponry.console.parts import ConsoleParts
from couponry.core.launching import LaunchState
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store import launches
from couponry.store.approvals import Approval
from couponry.store.audit import Actor
from couponry.store.engine import WriteTransaction
from couponry.store.launches import LaunchRefused
from couponry.store.registry import read_org


class LaunchCarrier:
    """Launches in the transaction that decides."""

    def carry_out(self, tx: WriteTransaction, actor: Actor, approval: Approval) -> Carried | Problem | None:
        """Launch what was asked for, unless it was taken back or asked anew since."""
        asked = approval.request
        launch = launches.hold_launch(tx, actor.org_id, asked["launchId"])
        org = read_org(tx, actor.org_id)
        if launch is None or isinstance(org, Problem):
            return Problem("unknown", "there is no such launch")
        if launch.state is not LaunchState.ASKED or launch.updated_ms != asked["askedMs"]:
            return Problem("state", "this is not asked for any more")
        try:
            done = launches.carry_out(tx, org, actor, launch)
        except LaunchRefused as refused:
            return refused.problem
        notice = "Approved, and launched." if done.state is LaunchState.LAUNCHED else "Approved, and scheduled."
        return Carried(f"/campaigns/{done.campaign_id}", notice)

    async def follow_up(self, parts: ConsoleParts, actor: Actor, approval: Approval) -> Carried | Problem | Code:
        """Nothing is left to do afterwards."""
        return Problem("state", "a launch is done with its approval")
