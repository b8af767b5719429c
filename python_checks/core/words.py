"""Times and sizes as a person says them."""

import time

from python_checks.core.say import Said, count, say

GIB, MIB = 2**30, 2**20


def span(seconds: float) -> Said:
    """Return how long something takes: `12 s`, `3 min`, `5 h 20 min`, `3 days`."""
    minutes, hours = round(seconds / 60), seconds / 3600
    if seconds < 100:
        return say("{number} s", number=max(0, round(seconds)))
    if minutes < 100:
        return say("{number} min", number=minutes)
    if hours < 10:
        number, rest = divmod(minutes, 60)
        return (
            say("{number} h {rest} min", number=number, rest=rest)
            if rest
            else say("{number} h", number=number)
        )
    days = round(hours / 24)
    return (
        say("{number} h", number=round(hours)) if hours < 48 else count(days, "{number} day", "{number} days")
    )


def ago(then: float, now: float) -> Said:
    """Return how long ago something was."""
    return say("{age} ago", age=span(now - then)) if now - then >= 1 else say("just now")


def stamp(then: float, now: float) -> str:
    """Return the host's local time, with the date unless it is of today."""
    day = "" if time.localtime(then)[:3] == time.localtime(now)[:3] else "%Y-%m-%d "
    return time.strftime(f"{day}%H:%M", time.localtime(then))
