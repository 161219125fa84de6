"""C11b: `redemptionRange` in all the forms in which it comes, by the clock of the redeeming store (rules 7)."""

from typing import Final
from zoneinfo import ZoneInfo

import pytest

from couponry.core.series import Window, window_from_text
from couponry.core.status import Code
from tests.core.scene import Scene
from tests.core.world import NOW, ms

OPEN: Final = Code.PROCESSED
CLOSED: Final = Code.OUTSIDE_WINDOW
SUNDAY: Final = "2031-03-09"
MONDAY: Final = "2031-03-10"
SATURDAY: Final = "2031-03-15"


@pytest.mark.parametrize(
    ("text", "at", "code"),
    [
        ('{"dom":[-1],"dow":[-1],"hours":[-1]}', f"{MONDAY} 12:00", OPEN),
        ("{}", f"{MONDAY} 12:00", OPEN),
        ('{"dom":[],"dow":null,"hours":-1}', f"{MONDAY} 12:00", OPEN),
        ('{"dom":"-1","dow":["-1"],"hours":"-1"}', f"{MONDAY} 12:00", OPEN),
        ('{"dom":10}', f"{MONDAY} 12:00", OPEN),
        ('{"dom":"10"}', f"{MONDAY} 12:00", OPEN),
        ('{"dom":["9","11"]}', f"{MONDAY} 12:00", CLOSED),
        ('{"dom":[9,-1]}', f"{MONDAY} 12:00", OPEN),
        ('{"dom":[31]}', "2031-03-31 12:00", OPEN),
        ('{"dow":0}', f"{SUNDAY} 12:00", OPEN),
        ('{"dow":7}', f"{SUNDAY} 12:00", OPEN),
        ('{"dow":[7]}', f"{MONDAY} 12:00", CLOSED),
        ('{"dow":"1"}', f"{MONDAY} 12:00", OPEN),
        ('{"dow":[1,2,3,4,5]}', f"{SUNDAY} 12:00", CLOSED),
        ('{"dow":6}', f"{SATURDAY} 12:00", OPEN),
        ('{"hours":[12]}', f"{MONDAY} 11:59:59", CLOSED),
        ('{"hours":[12]}', f"{MONDAY} 12:00:00", OPEN),
        ('{"hours":[12]}', f"{MONDAY} 12:59:59", OPEN),
        ('{"hours":[12]}', f"{MONDAY} 13:00:00", CLOSED),
        ('{"hours":0}', f"{MONDAY} 00:00:00", OPEN),
        ('{"hours":"23"}', f"{MONDAY} 23:59:59", OPEN),
        ('{"dom":10,"dow":1,"hours":12}', f"{MONDAY} 12:30", OPEN),
        ('{"dom":10,"dow":1,"hours":13}', f"{MONDAY} 12:30", CLOSED),
        ('{"dom":10,"dow":2,"hours":12}', f"{MONDAY} 12:30", CLOSED),
        ('{"dom":11,"dow":1,"hours":12}', f"{MONDAY} 12:30", CLOSED),
    ],
)
def test_window(text: str, at: str, code: Code) -> None:
    scene = Scene(terms={"redemption_range": text}, state={"now_ms": ms(at)})
    assert scene.code("redeem") is code
    assert scene.code("check") is (Code.REDEEMABLE if code is OPEN else code)


@pytest.mark.parametrize(
    ("zone", "is_monday"),
    [
        ("Asia/Kolkata", True),
        ("Pacific/Tongatapu", True),
        ("Pacific/Pago_Pago", False),
        ("America/New_York", False),
        ("Europe/Berlin", False),
    ],
)
def test_clock_is_the_stores(zone: str, *, is_monday: bool) -> None:
    """Prevents the org's or the server's clock from closing a shop far away: it is 02:00 on Monday in India."""
    scene = Scene(
        terms={"redemption_range": '{"dow":[1]}'},
        place={"time_zone": ZoneInfo(zone)},
        state={"now_ms": ms("2031-03-10 02:00")},
    )
    assert scene.code("redeem") is (OPEN if is_monday else CLOSED)


def test_time_is_the_redemptions_when_sent() -> None:
    scene = Scene(terms={"redemption_range": '{"hours":[12]}'})
    assert scene.code("redeem") is OPEN
    assert (scene | Scene(claim={"at_ms": NOW - 3_600_000})).code("redeem") is CLOSED
    assert (scene | Scene(claim={"at_ms": NOW + 3_599_000})).code("redeem") is OPEN
    assert (scene | Scene(claim={"at_ms": NOW + 3_600_000})).code("redeem") is CLOSED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        '{"dom":0}',
        '{"dom":32}',
        '{"dow":8}',
        '{"dow":-2}',
        '{"hours":24}',
        '{"hours":true}',
        '{"dom":1.5}',
        '{"dom":"x"}',
        '{"dom":[[1]]}',
    ],
)
def test_unusable_window_is_an_error(text: str) -> None:
    """Prevents a window that silently means never, or always."""
    with pytest.raises(ValueError):
        window_from_text(text)


def test_window_parts() -> None:
    assert window_from_text('{"dom":"5","dow":[7,"1"],"hours":[0,23]}') == Window(
        frozenset({5}), frozenset({0, 1}), frozenset({0, 23})
    )
