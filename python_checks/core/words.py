"""Times and sizes as a person says them."""

import time

GIB, MIB = 2**30, 2**20


def span(seconds: float) -> str:
    """Return how long something takes: `12 s`, `3 min`, `5 h 20 min`, `3 days`."""
    minutes, hours = round(seconds / 60), seconds / 3600
    if seconds < 100:
        return f"{max(0, round(seconds))} s"
    if minutes < 100:
        return f"{minutes} min"
    if hours < 10:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    return f"{round(hours)} h" if hours < 48 else f"{round(hours / 24)} days"


def ago(then: float, now: float) -> str:
    """Return how long ago something was."""
    return f"{span(now - then)} ago" if now - then >= 1 else "just now"


def stamp(then: float, now: float) -> str:
    """Return the host's local time, with the date unless it is of today."""
    day = "" if time.localtime(then)[:3] == time.localtime(now)[:3] else "%Y-%m-%d "
    return time.strftime(f"{day}%H:%M", time.localtime(then))


def count(number: int, noun: str) -> str:
    """Return `no restart`, `1 restart`, `2 restarts`, `2 processes`."""
    plural = "" if number in (0, 1) else "es" if noun.endswith("s") else "s"
    return f"{number or 'no'} {noun}{plural}"
