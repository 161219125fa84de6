"""What an org's hooks bring about beyond 683, which needs no hook (v1.1-coupon 3)."""

import socket
from contextlib import closing
from ipaddress import ip_network
from types import MappingProxyType
from typing import Final

from couponry.core.status import Code
from tests.api.shop import MIRA
from tests.codes import v11
from tests.codes.issue import ISSUE
from tests.codes.scene import Reach, Scene, Told
from tests.receiver import LOOPBACK


def untold(scene: Scene) -> Told:
    """A hook at an address that may not be reached."""
    scene.shop.set(sideEffectsHookUrl="http://127.0.0.1/effects")
    answer = v11.redeemed(scene, scene.coupon())
    (warning,) = answer.json()["response"]["coupons"]["coupon"]["item_status"]["warnings"]["warning"]
    return Told(answer.status_code, warning["code"], warning["message"], "retry-after" in answer.headers)


def without_gateway(scene: Scene) -> Told:
    """An org that sends synchronously, and has no way to."""
    scene.shop.set(messagesSync="true")
    return scene.ask("POST", ISSUE, json={"customer": MIRA, "seriesId": scene.series()})


def gateway_down(scene: Scene) -> Told:
    """Nobody listens where the gateway was."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    scene.shop.set(smsUrl=f"json://127.0.0.1:{port}/sms")
    return without_gateway(scene)


HOOKED: Final = MappingProxyType(
    {
        Code.SIDE_EFFECTS_QUEUED: Reach(200, untold),
        Code.DELIVERY_MISCONFIGURED: Reach(500, without_gateway),
        Code.GATEWAY_UNREACHABLE: Reach(500, gateway_down, settings={"allowed_private_networks": (ip_network(LOOPBACK),)}),
    }
)
