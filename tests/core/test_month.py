"""A month of weeks, and what runs through it."""

from datetime import date

from couponry.core.month import Run, month_of, shifted, weeks_of

MARCH = date(2031, 3, 1)


def test_months_follow_one_another() -> None:
    assert [shifted(MARCH, by) for by in (-3, -1, 10)] == [date(2030, 12, 1), date(2031, 2, 1), date(2032, 1, 1)]
    assert month_of("2031-02", MARCH) == date(2031, 2, 1)
    assert {month_of(text, date(2031, 3, 9)) for text in ("", "x", "2031-13", "0001-01", "9999-12")} == {MARCH}


def test_spans_cover_a_week_and_never_overlap() -> None:
    runs = [
        Run("whole", date(2031, 2, 1), None),
        Run("two days", date(2031, 3, 4), date(2031, 3, 5)),
        Run("from the next day", date(2031, 3, 6), date(2031, 3, 20)),
        Run("another month", date(2031, 5, 6), None),
    ]
    weeks = weeks_of(MARCH, runs)
    assert [len(week.days) for week in weeks] == [7] * 6
    second = [[(span.what, span.days, span.begins, span.ends) for span in row] for row in weeks[1].rows]
    assert second == [
        [("whole", 7, False, False)],
        [(None, 1, True, True), ("two days", 2, True, True), ("from the next day", 4, True, False)],
    ]
    assert all(sum(span.days for span in row) == 7 for week in weeks for row in week.rows)
