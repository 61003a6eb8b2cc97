"""Schedule expressions against a calendar that is walked minute by minute."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backends.aws.events import cron

DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MINUTES = st.sampled_from(["0", "*/20", "5,50", "10-12", "55/2"])
HOURS = st.sampled_from(["0", "12", "*/6", "22-23", "1,13"])
MONTH_DAYS = st.sampled_from(["1", "31", "L", "LW", "15W", "1W", "31W", "28-31", "*/10", "*"])
WEEKDAYS = st.sampled_from(["SUN", "2-6", "L", "6L", "MON#1", "3#5", "FRI-MON", "1,7", "*"])
MONTHS = st.sampled_from(["*", "2", "JAN-MAR", "*/5", "12"])
STARTS = st.datetimes(datetime(2027, 1, 1), datetime(2028, 12, 1))  # noqa: DTZ001 - as hypothesis wants them


def is_day(day: datetime, month_days: str, weekdays: str) -> bool:
    """Judge one day by the two fields, as the user guide describes them."""
    last = calendar.monthrange(day.year, day.month)[1]
    number = (day.weekday() + 1) % 7 + 1
    if weekdays != "?":
        return any(is_weekday(day, part, number, last) for part in weekdays.split(","))
    if month_days in {"L", "*"}:
        return month_days == "*" or day.day == last
    if month_days.endswith("W"):
        wanted = last if month_days == "LW" else min(int(month_days[:-1]), last)
        working = [each for each in range(1, last + 1) if day.replace(day=each).weekday() < 5]
        return day.day == min(working, key=lambda each: (abs(each - wanted), each))
    return day.day in span(month_days, 1, 31)


def is_weekday(day: datetime, part: str, number: int, last: int) -> bool:
    for name, value in zip(DAYS, "1234567", strict=True):
        part = part.replace(name, value)
    if part in {"L", "*"}:
        return part == "*" or number == 7
    if part.endswith("L"):
        return number == int(part[0]) and day.day > last - 7
    if "#" in part:
        return number == int(part[0]) and (day.day + 6) // 7 == int(part[2])
    if part == "6-2":
        return number in {6, 7, 1, 2}
    return number in span(part, 1, 7)


def span(text: str, low: int, high: int) -> set[int]:
    numbers: set[int] = set()
    for part in text.split(","):
        whole, _, step = part.partition("/")
        first, _, end = whole.partition("-")
        begin = low if first == "*" else int(first)
        until = int(end) if end else high if step or first == "*" else begin
        numbers |= set(range(begin, until + 1, int(step or 1)))
    return numbers


@given(MINUTES, HOURS, MONTH_DAYS, MONTHS, WEEKDAYS, st.booleans(), STARTS)
@settings(max_examples=120, deadline=None)
def test_the_next_time_is_the_first_minute_that_fits(
    minutes: str,
    hours: str,
    month_days: str,
    months: str,
    weekdays: str,
    by_week: bool,
    start: datetime,
) -> None:
    month_days, weekdays = ("?", weekdays) if by_week else (month_days, "?")
    assume((month_days, months) != ("31", "2"))  # never
    expression = f"cron({minutes} {hours} {month_days} {months} {weekdays} *)"
    start = start.replace(tzinfo=UTC)
    at = cron.parse(expression).following(start.timestamp(), 0.0)
    assert at is not None
    month_numbers = span(months.replace("JAN", "1").replace("MAR", "3"), 1, 12)
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while True:
        if day.month in month_numbers and is_day(day, month_days, weekdays):
            times = [
                day + timedelta(hours=hour, minutes=minute)
                for hour in sorted(span(hours, 0, 23))
                for minute in sorted(span(minutes, 0, 59))
            ]
            later = [time for time in times if time > start]
            if later:
                break
        day += timedelta(days=1)
    assert datetime.fromtimestamp(at, UTC) == later[0]


@pytest.mark.parametrize(
    "expression",
    [
        "", "cron()", "cron(0 12 * * *)", "cron(0 12 * * * *)", "cron(0 12 ? * ? *)", "cron(60 0 * * ? *)", "cron(0 24 * * ? *)",
        "cron(0 0 32 * ? *)", "cron(0 0 0 * ? *)", "cron(0 0 ? * 8 *)", "cron(0 0 ? * MON#6 *)", "cron(0 0 ? * MON# *)",
        "cron(0 0 * 13 ? *)", "cron(0 0 * * ? 1969)", "cron(0 0 * * ? 2200)", "cron(5-1 0 * * ? *)", "cron(*/0 0 * * ? *)",
        "cron(- 0 * * ? *)", "cron(, 0 * * ? *)", "cron(0 0 W * ? *)", "cron(0 0 ? * LL *)", "cron(a 0 * * ? *)", "cron(\u00b9 0 * * ? *)",
        "rate(0 minutes)", "rate(1 minutes)", "rate(2 minute)", "rate(1 second)", "rate(-1 days)", "rate(1.5 hours)", "every(1 day)",
        "at(2027-01-01)", "cron(0 0 * * ? *) ", "cron((0 0 * * ? *))",
    ],
)  # fmt: skip
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of either kind
        cron.parse(expression, is_once_allowed=True)


def test_what_never_comes_is_none_and_a_clock_that_goes_back_counts_once() -> None:
    start = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
    assert cron.parse("cron(0 0 30 2 ? *)").following(start, 0.0) is None
    assert cron.parse("cron(0 0 1 1 ? 2020)").following(start, 0.0) is None
    assert cron.parse("at(2026-01-01T00:00:00)", is_once_allowed=True).following(start, 0.0) is None
    daily = cron.parse("cron(30 2 * * ? *)", ZoneInfo("Europe/Berlin"))
    times, at = [], datetime(2027, 10, 30, 12, tzinfo=UTC).timestamp()
    for _ in range(2):  # 02:30 comes twice on the 31st
        following = daily.following(at, 0.0)
        assert following is not None
        times.append(datetime.fromtimestamp(at := following, UTC).isoformat())
    assert times == ["2027-10-31T00:30:00+00:00", "2027-11-01T01:30:00+00:00"]
