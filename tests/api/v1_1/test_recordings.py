"""Old clients: every recording gets the answers that it got, on both databases (issue 4, part 6)."""

from pathlib import Path
from typing import Final

import pytest

from tests.api.holdings import series_id
from tests.api.shop import Shop
from tests.api.v1_1.recordings import FOLDER, exchanges, play

RECORDED: Final = sorted(FOLDER.glob("*.http"))
AGAIN: Final = {"isMultipleUseAllowed": True, "sameUserMultipleRedeem": True}


def stocked(shop: Shop) -> Shop:
    """What the recordings take for granted: coupons of Mira's, and one of Arun's."""
    shop.series(seriesCode="HELD")
    shop.coupon("H4TQ9ZKM", series="HELD")
    shop.coupon("H4TQ9ZKN", series="HELD")
    shop.coupon("ARUNS-1", series="HELD", mobile="919812300002")
    shop.series(seriesCode="LIMITED", anyUser=True, redemptionPerCouponMaxLimit=1, **AGAIN)
    shop.coupon("LIMITED-1", series="LIMITED")
    shop.series(seriesCode="GAP", minDaysBetweenRedemption=3, discountType="ABS", discountValue="12.5", **AGAIN)
    shop.coupon("GAP-1", series="GAP")
    return shop


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recording(shop: Shop, path: Path) -> None:
    recorded = exchanges(path)
    settings = {"v11_code_as_string": path.stem == "strings", "v11_http_always_200": path.stem == "always_200"}
    assert recorded
    with stocked(shop).front(**settings) as front:
        play(front, recorded, gap=str(series_id(shop, "GAP")))


def test_recordings_are_compared(shop: Shop, tmp_path: Path) -> None:
    """Prevents a kit that finds every answer right."""
    recording = tmp_path / "wrong.http"
    text = "### a\nGET /v1.1/coupon/isredeemable?code=H4TQ9ZKM&mobile=919812300001\n\n--- 200\n\n"
    with stocked(shop).front() as front:
        for answer in ("{}", '{"response": "{n}"}'):
            recording.write_text(text + answer)
            with pytest.raises(AssertionError):
                play(front, exchanges(recording))
