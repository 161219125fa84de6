"""SMS to a gateway of one's own (`json://`): as Apprise would post them, but over kept connections, and several times as fast.

What a URL means Apprise says, once, with a word in place of the address.
"""

from base64 import b64encode
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
from apprise.plugins.custom_json import NotifyJSON
from msgspec.structs import replace

from couponry.core.limits import MESSAGE_HTTP_MS_MAX
from couponry.worker.delivery.attempts import Attempt
from couponry.worker.delivery.webhooks import Posts

ANYBODY: Final = "couponryanybody"
# A refusal of this one message. Others, such as of our credentials, say something about the gateway, and may pass.
OF_THE_MESSAGE: Final = frozenset({400, 404, 406, 410, 413, 422})


class JsonGateway:
    """One URL of such a gateway."""

    def __init__(self, plugin: NotifyJSON, posts: Posts) -> None:
        self._posts = posts
        port = f":{plugin.port}" if isinstance(plugin.port, int) else ""
        query = f"?{urlencode(plugin.params)}" if plugin.params else ""
        self._url = f"{'https' if plugin.secure else 'http'}://{plugin.host}{port}{plugin.fullpath}{query}"
        self._headers = {"Content-Type": "application/json", **plugin.headers}
        if plugin.user:
            login = f"{plugin.user}:{plugin.password or ''}".encode()
            self._headers["Authorization"] = f"Basic {b64encode(login).decode()}"
        self._extras: dict[str, str] = dict(plugin.payload_extras)

    async def send(self, address: str, text: str, now_ms: int) -> Attempt:
        """One message to one address."""
        body = msgspec.json.encode(self._payload(address, text))
        headers = {name: value.replace(ANYBODY, address) for name, value in self._headers.items()}
        url = self._url.replace(ANYBODY, quote(address, safe=""))
        attempt = await self._posts.post(url, headers, body, now_ms, MESSAGE_HTTP_MS_MAX)
        return attempt if attempt.is_delivered else replace(attempt, is_passing=attempt.http_status not in OF_THE_MESSAGE)

    def _payload(self, address: str, text: str) -> dict[str, Any]:
        """An extra that is named as one of ours renames it, or takes it away; others are added."""
        payload: dict[str, Any] = {"version": "1.0", "title": "", "message": text, "attachments": [], "type": "info"}
        for name, value in self._extras.items():
            if name not in payload:
                payload[name] = value.replace(ANYBODY, address)
            else:
                ours = payload.pop(name)
                payload.update({value: ours} if value else {})
        return payload


def json_gateway(plugin: object, posts: Posts) -> JsonGateway | None:
    """The gateway that a plugin stands for; None where only Apprise can do what its URL asks for."""
    is_ours = isinstance(plugin, NotifyJSON) and plugin.method == "POST" and plugin.verify_certificate
    return JsonGateway(plugin, posts) if is_ours and isinstance(plugin, NotifyJSON) else None
