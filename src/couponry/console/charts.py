"""Charts drawn on the server: SVG that stretches to any width, with the same numbers as a table beside it (`charts.html`).

What is drawn has no text in it, so that nothing gets small on a narrow screen; what stands beside it is HTML.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

HEIGHT: Final = 100
STEP: Final = 10
_GAP: Final = 2


class Mark(Struct, frozen=True):
    """One value; `shown` is how it is written, `before` what it is compared with, if anything."""

    label: str
    value: float
    shown: str
    before: float | None = None
    shown_before: str = ""
    href: str = ""


class Bar(Struct, frozen=True):
    """A rectangle, of a chart `HEIGHT` high."""

    x: float
    y: float
    width: float
    height: float
    mark: Mark


class Chart(Struct, frozen=True):
    """What `charts.chart` draws. `line` are the points of what the bars are compared with; empty for nothing."""

    title: str
    of: str
    width: int
    bars: list[Bar]
    line: str
    top: str
    compared_with: str

    @property
    def summary(self) -> str:
        """The chart in a sentence, for those who do not see it."""
        marks = [bar.mark for bar in self.bars]
        if not marks:
            return f"{self.title}: nothing to show."
        most = max(marks, key=lambda mark: mark.value)
        return f"{self.title}, {marks[0].label} to {marks[-1].label}. Most: {most.shown} ({most.label})."


def bars(title: str, marks: Sequence[Mark], *, of: str = "Day", compared_with: str = "") -> Chart:
    """A bar for each mark, in their order; and a line through what they are compared with."""
    values = [mark.value for mark in marks]
    before = [mark.before for mark in marks]
    most = max([*values, *(value for value in before if value is not None)], default=0)
    scale = HEIGHT / most if most > 0 else 0
    drawn = [
        Bar(at * STEP + _GAP / 2, _round(HEIGHT - mark.value * scale), STEP - _GAP, _round(mark.value * scale), mark)
        for at, mark in enumerate(marks)
    ]
    points = [
        f"{at * STEP + STEP / 2:g},{_round(HEIGHT - value * scale):g}" for at, value in enumerate(before) if value is not None
    ]
    top = next((mark.shown for mark in marks if mark.value == most), "") or next(
        (mark.shown_before for mark in marks if mark.before == most), ""
    )
    return Chart(title, of, len(marks) * STEP, drawn, " ".join(points), top if most > 0 else "", compared_with)


def _round(value: float) -> float:
    return round(max(value, 0), 2)
