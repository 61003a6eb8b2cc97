"""Schedule expressions: `rate(5 minutes)`, `cron(0 12 * * ? *)` and, for Scheduler, `at(2026-11-27T12:00:00)`.

    cron    := minutes hours day-of-month month day-of-week year, six fields
    field   := part {"," part}
    part    := "*" | "?" | value ["-" value] ["/" step] | "*/" step          ranges of names and days may wrap (FRI-MON)
             | day-of-month: "L" (the last), "LW", number "W" (the weekday nearest to it)
             | day-of-week: "L" (Saturday), number or name "L" (the month's last), number "#" number (the month's n-th)
    value   := number | JAN-DEC | SUN-SAT (1-7)

Exactly one of the two days is `?`. Source: EventBridge User Guide, "Setting a schedule pattern", and Scheduler's "Schedule types"
(2026-11). Times are walked in the schedule's zone: a time that a clock skips in spring does not come, as with AWS; one that comes
twice in autumn comes once.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

RATE = re.compile(r"rate\(([0-9]{1,9}) (minute|minutes|hour|hours|day|days)\)")
AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)", re.ASCII)
CRON = re.compile(r"cron\(([^()]*)\)")
SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
SHIFT = timedelta(hours=2)
"""More than a clock is ever put back."""
FIRST_YEAR, LAST_YEAR = 1970, 2199


class ExpressionError(ValueError):
    """The text is no expression of this kind."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Every so many seconds."""

    period_s: int

    def following(self, after: float, began: float) -> float | None:
        """Return the first time after one, counted from the schedule's begin."""
        return began + (int((after - began) // self.period_s) + 1) * self.period_s if after >= began else began


@dataclass(frozen=True, slots=True)
class At:
    """Once."""

    time: datetime
    zone: tzinfo = UTC

    def following(self, after: float, began: float) -> float | None:
        """Return the time, unless it is over."""
        del began
        at = self.time.replace(tzinfo=self.zone).timestamp()
        return at if at > after else None


@dataclass(frozen=True, slots=True)
class Cron:
    """At the times of a calendar. `days`, `weekdays`: the parts of their fields; one of the two is empty (`?`)."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: tuple[str, ...]
    months: frozenset[int]
    weekdays: tuple[str, ...]
    years: frozenset[int]
    zone: tzinfo = UTC

    def following(self, after: float, began: float) -> float | None:
        """Return the first time after one; None where there is none before 2200."""
        del began
        start = datetime.fromtimestamp(after, self.zone).replace(tzinfo=None)
        year, month = start.year, start.month
        while year <= max(self.years):
            if year in self.years and month in self.months:
                for day in sorted(self._days_of(year, month)):
                    if (at := self._on(datetime(year, month, day), start, after)) is not None:  # noqa: DTZ001 - the zone's own
                        return at
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        return None

    def _on(self, day: datetime, start: datetime, after: float) -> float | None:
        """Return the first time of a day after one, whose local time is `start`; those long before it are not looked at."""
        if day.date() < start.date():
            return None
        earliest = start - SHIFT if day.date() == start.date() else day
        for hour in sorted(self.hours):
            if day.replace(hour=hour, minute=59) < earliest:
                continue
            for minute in sorted(self.minutes):
                local = day.replace(hour=hour, minute=minute)
                at = local.replace(tzinfo=self.zone).timestamp()
                is_real = datetime.fromtimestamp(at, self.zone).replace(tzinfo=None) == local  # not skipped in spring
                if at > after and is_real:
                    return at
        return None

    def _days_of(self, year: int, month: int) -> set[int]:
        last = calendar.monthrange(year, month)[1]
        if self.days:
            return {day for part in self.days for day in _month_days(part, year, month, last)}
        return {day for part in self.weekdays for day in _week_days(part, year, month, last)}


def _weekday(year: int, month: int, day: int) -> int:
    """Return a day's number of the week as AWS counts: Sunday is 1."""
    return (calendar.weekday(year, month, day) + 1) % 7 + 1


def _month_days(part: str, year: int, month: int, last: int) -> set[int]:
    if part == "L":
        return {last}
    if part.endswith("W"):
        day = last if part == "LW" else min(int(part[:-1]), last)
        weekday = _weekday(year, month, day)
        if weekday == 7:
            day += -1 if day > 1 else 2
        elif weekday == 1:
            day += 1 if day < last else -2
        return {day}
    return {day for day in _numbers(part, 1, 31, {}) if day <= last}


def _week_days(part: str, year: int, month: int, last: int) -> set[int]:
    if part == "L":
        wanted = {7}
    elif part.endswith("L"):
        weekday = _value(part[:-1], 1, 7, DAYS)
        return {max(day for day in range(last - 6, last + 1) if _weekday(year, month, day) == weekday)}
    elif "#" in part:
        name, _, place = part.partition("#")
        days = [day for day in range(1, last + 1) if _weekday(year, month, day) == _value(name, 1, 7, DAYS)]
        return set(days[int(place) - 1 : int(place)])
    else:
        wanted = _numbers(part, 1, 7, DAYS)
    return {day for day in range(1, last + 1) if _weekday(year, month, day) in wanted}


def _value(text: str, low: int, high: int, names: dict[str, int]) -> int:
    if text.upper() in names:
        return names[text.upper()]
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise ExpressionError(text)
    return int(text)


def _numbers(part: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    """Return the numbers of one part of a field."""
    span, slash, step_text = part.partition("/")
    step = 1
    if slash:
        if not step_text.isascii() or not step_text.isdigit() or int(step_text) < 1:
            raise ExpressionError(part)
        step = int(step_text)
    if span == "*":
        first, last = low, high
    elif "-" in span:
        first, last = (_value(text, low, high, names) for text in span.split("-", 1))
    else:
        first = _value(span, low, high, names)
        last = high if slash else first
    if first > last:
        if not names:
            raise ExpressionError(part)
        return set([*range(first, high + 1), *range(low, last + 1)][::step])
    return set(range(first, last + 1, step))


def _field(text: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    return frozenset(number for part in text.split(",") for number in _numbers(part, low, high, names or {}))


def parse(text: str, zone: tzinfo = UTC, *, is_once_allowed: bool = False) -> Rate | Cron | At:
    """Read an expression. ExpressionError for what is none."""
    if match := RATE.fullmatch(text):
        number, unit = int(match[1]), match[2]
        if not number or (number == 1) != (not unit.endswith("s")):
            raise ExpressionError(text)
        return Rate(number * SECONDS[unit.removesuffix("s")])
    if is_once_allowed and (match := AT.fullmatch(text)):
        return At(datetime.fromisoformat(match[1]), zone)
    match = CRON.fullmatch(text)
    fields = match[1].split() if match is not None else []
    if len(fields) != 6:
        raise ExpressionError(text)
    return _cron(fields, zone)


def _cron(fields: list[str], zone: tzinfo) -> Cron:
    minutes, hours, days, months, weekdays, years = fields
    if (days == "?") == (weekdays == "?"):
        raise ExpressionError("one of day-of-month and day-of-week must be ?")
    cron = Cron(
        _field(minutes, 0, 59),
        _field(hours, 0, 23),
        () if days == "?" else tuple(part.upper() for part in days.split(",")),
        _field(months, 1, 12, MONTHS),
        () if weekdays == "?" else tuple(part.upper() for part in weekdays.split(",")),
        _field(years, FIRST_YEAR, LAST_YEAR),
        zone,
    )
    for part in cron.days:
        if part not in {"L", "LW"}:
            _numbers(part.removesuffix("W"), 1, 31, {})
            if part.endswith("W") and not part[:-1].isdigit():
                raise ExpressionError(part)
    for part in cron.weekdays:
        name, hash_sign, place = part.partition("#")
        if hash_sign and place not in {"1", "2", "3", "4", "5"}:
            raise ExpressionError(part)
        if part != "L":
            ends = hash_sign or (part.endswith("L") and name.removesuffix("L"))
            (_value if ends else _numbers)(name.removesuffix("L") if not hash_sign else name, 1, 7, DAYS)
    return cron
