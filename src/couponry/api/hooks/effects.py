"""What a loyalty engine says that a redemption brought about, as `side_effects` shows it (v1.1-coupon 3)."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from couponry.core.limits import SIDE_EFFECT_CHARS_MAX, SIDE_EFFECTS_MAX

# What XML can write: an effect is shown in both formats.
_TEXT: Final = "^[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*$"
Text = Annotated[str, Meta(max_length=SIDE_EFFECT_CHARS_MAX, pattern=_TEXT)]
Scalar = Text | int | float


class CouponEffect(Struct, frozen=True, tag_field="type", tag="coupon"):
    """A coupon that the customer got for it."""

    coupon_code: Text
    coupon_type: Text = "PE"
    description: Text = ""
    discount_code: Text = ""
    valid_till: Text = ""
    id: Scalar = ""


class PointsEffect(Struct, frozen=True, tag_field="type", tag="points"):
    """Points that the customer got for it."""

    awarded_points: Scalar


Effect = CouponEffect | PointsEffect
Effects = Annotated[tuple[Effect, ...], Meta(max_length=SIDE_EFFECTS_MAX)]
