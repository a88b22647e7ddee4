"""Times and durations as people type them: 2026-11, march, last week, 3d; 90, 90s, 5m, 1h30m, 2 days."""

from __future__ import annotations

import re

TIMES_SAID = "2026-11-22, 2026-11, march, monday, today, yesterday, last week, 3d, 12h"
DURATIONS_SAID = "90, 90s, 5m, 2h, 1h30m, 3d"
UNITS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
NAMES = {"second": "s", "minute": "m", "hour": "h", "day": "d", "week": "w"}
MONTHS = ("january", "february", "march", "april", "may", "june",
          "july", "august", "september", "october", "november", "december")  # fmt: skip
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def duration(words: str) -> float | None:
    """Seconds of a duration (`5m`, `1h30m`, `2 days`, `90`), or None if it is none."""
    try:
        return float(words)
    except ValueError:
        pass
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*", words.strip().lower())
    if not parts or "".join(a + b for a, b in parts) != re.sub(r"\s+", "", words.lower()):
        return None
    units = [NAMES.get(unit.rstrip("s") if len(unit) > 1 else unit, unit) for _, unit in parts]
    if any(unit not in UNITS for unit in units):
        return None
    return sum(float(count) * UNITS[unit] for (count, _), unit in zip(parts, units, strict=True))


def moment(words: str) -> float | None:
    """Seconds since 1970 of a date, a month, a year, a time, or of so long ago (`3d`); None if it is no time."""
    import time
    from datetime import datetime

    words = words.strip().lower()
    back = duration(re.sub(r"\s*ago$", "", words)) if not re.fullmatch(r"[\d.]+", words) else None
    if back is not None:
        return time.time() - back
    spelled = named_day(words) or (
        words + "-01-01"[len(words) - 4 :] if re.fullmatch(r"\d{4}(-\d\d)?", words) else words
    )
    try:
        return datetime.fromisoformat(spelled.upper().replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return None


def named_day(words: str) -> str:
    """The ISO date at which `march`, `monday`, `today`, `last week` begin, the latest that is past; "" for others."""
    from datetime import date, timedelta

    today = date.today()  # noqa: DTZ011 - as people say it
    name = re.sub(r"^last\s+", "", words)
    if name in ("today", "yesterday"):
        return str(today - timedelta(days=name == "yesterday"))
    if words.startswith("last") and name in ("week", "month", "year"):
        return str(today - timedelta(days={"week": 7, "month": 30, "year": 365}[name]))
    fits = [number for number, month in enumerate(MONTHS, 1) if len(name) > 2 and month.startswith(name)]
    if fits:
        return f"{today.year - (fits[0] > today.month):04d}-{fits[0]:02d}-01"
    fits = [number for number, day in enumerate(DAYS) if len(name) > 2 and day.startswith(name)]
    return str(today - timedelta(days=(today.weekday() - fits[0]) % 7)) if fits else ""


def iso_prefix(words: str) -> str:
    """What ISO times begin with that are meant by words: `2026-03` for march, a date for monday; words as they are."""
    from datetime import datetime

    day = named_day(words.strip().lower())
    if day:
        month = any(len(words) > 2 and name.startswith(words.strip().lower()) for name in MONTHS)
        return day[:7] if month else day
    when = None if re.match(r"\d{4}", words) else moment(words)
    return words if when is None else datetime.fromtimestamp(when).astimezone().isoformat()
