"""Whether a unit of systemd is stopped by plan: root leaves a mark when a timer stops it, and another timer starts it again."""

import re
import time
from pathlib import Path

from python_checks.core.say import Said, say
from python_checks.core.words import clock
from python_checks.service import registry
from python_checks.service.registry import Row
from python_checks.service.unit import call

DIRECTORY = "planned"  # below the host directory; root's
# As systemctl shows a time: with --timestamp=unix where it heeds that for this property, or in the host's own zone.
_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def mark(row: Row) -> Path | None:
    """Return the file that is there while a service is stopped by plan; None on a host that no deploy made."""
    home = registry.home()
    return home / DIRECTORY / row.name if home else None


def until(row: Row) -> float:
    """Return when a service that does not run is started again by plan, in seconds since the epoch; 0 without a plan.

    Where its timer will not fire, no plan brings it back.

    Raises:
        CheckError: systemd gives no answer.
    """
    path = mark(row)
    if path is None or not path.is_file():
        return 0.0
    output = call(
        [
            "systemctl",
            "show",
            f"{row.name}-start.timer",
            "--property=NextElapseUSecRealtime",
            "--timestamp=unix",
        ]
    )
    return moment(output.text.strip().partition("=")[2])


def moment(shown: str) -> float:
    """Return a time that systemctl shows, in seconds since the epoch; 0 where it shows none."""
    if shown.startswith("@") and shown[1:].isdecimal():
        return float(shown[1:])
    found = _STAMP.search(shown)
    return time.mktime(time.strptime(found[0], "%Y-%m-%d %H:%M:%S")) if found else 0.0


def words(then: float) -> Said:
    """Return in words that a service is stopped by plan until then."""
    return say("stopped by plan until {time}", time=clock(then, time.time()))
