"""J13 where an org sends synchronously (`messagesSync`): the message must be one that can be sent, by a gateway that is there.

Whether it is there was asked before; the sending itself is the outbox's, as ever (status-codes 5).
"""

from collections.abc import Iterable

from couponry.core.commands import Issue, Resend
from couponry.core.deliveries import Channel
from couponry.core.model import Org
from couponry.core.status import Code
from couponry.core.tags import unknown_tags


def unsendable(org: Org, command: Issue | Resend, channel: Channel | None, templates: Iterable[str]) -> Code | None:
    """799 for a template with an unknown tag, or no gateway for the channel; then what was found of the gateway."""
    if not org.settings.messages_sync or channel is None:
        return None
    if any(unknown_tags(template) for template in templates) or not gateway(org, channel):
        return Code.DELIVERY_MISCONFIGURED
    return dict(command.no_gateway).get(channel)


def gateway(org: Org, channel: Channel) -> str:
    """The URL of an org's gateway for a channel; empty for none."""
    return org.settings.sms_url if channel is Channel.SMS else org.settings.email_url
