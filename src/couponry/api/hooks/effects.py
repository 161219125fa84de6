"""What a loyalty engine says that a redemption brought about, as `side_effects` shows it (v1.1-coupon 3)."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from couponry.core.limits import SIDE_EFFECT_CHARS_MAX, SIDE_EFFECTS_MAX
from couponry.outbound import Received

# What XML can write: an effect is shown in both formats.
_WRITABLE: Final = "^[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*$"
_EXACT_MAX: Final = 2**53
_ACCEPTED: Final = 202

Text = Annotated[str, Meta(max_length=SIDE_EFFECT_CHARS_MAX, pattern=_WRITABLE)]
Number = Annotated[int, Meta(ge=-_EXACT_MAX, le=_EXACT_MAX)] | Annotated[float, Meta(ge=-_EXACT_MAX, le=_EXACT_MAX)]


class CouponEffect(Struct, frozen=True, tag_field="type", tag="coupon"):
    """A coupon that the customer got for it."""

    coupon_code: Text
    coupon_type: Text = "PE"
    description: Text | None = None
    discount_code: Text | None = None
    valid_till: Text | None = None
    id: Text | Number | None = None


class PointsEffect(Struct, frozen=True, tag_field="type", tag="points"):
    """Points that the customer got for it."""

    awarded_points: Text | Number


Effect = CouponEffect | PointsEffect


class Answer(Struct, frozen=True):
    """What a side-effects hook answers: effects, or that they are `queued`."""

    status: Text | None = None
    side_effects: Annotated[tuple[Effect, ...], Meta(max_length=SIDE_EFFECTS_MAX)] = ()

    @property
    def is_queued(self) -> bool:
        """The hook has taken it over, and names no effects yet."""
        return (self.status or "").lower() == "queued"


_decode: Final = msgspec.json.Decoder(Answer).decode


def read(received: Received) -> Answer | None:
    """A hook's answer; None for one that was refused or makes no sense. Nothing said means no effects; a 202 means queued."""
    if not received.is_accepted or received.body is None:
        return None
    if not received.body.strip():
        return Answer("queued" if received.status == _ACCEPTED else None)
    try:
        return _decode(received.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def shown(effect: Effect) -> dict[str, str]:
    """An effect as v1.1 shows it: its scalars are strings."""
    fields = msgspec.to_builtins(effect)
    return {name: "" if value is None else str(value) for name, value in fields.items()}
