"""Requests to servers that an org names: signed, bounded in every way, and never to an address that is not for everybody."""

from couponry.outbound.sender import Received, Sender, Unreached
from couponry.outbound.signatures import Signer

__all__ = ["Received", "Sender", "Signer", "Unreached"]
