"""Whether a unit can take up what is activated by a reload, without a restart."""

import time
from pathlib import Path

from python_checks.core import command

TIMEOUT = 60.0  # seconds for an answer
ASKED = "CanReload,ExecMainStartTimestampMonotonic,EnvironmentFiles"


def possible(unit: str) -> bool:
    """Tell whether a reload brings all that is wanted."""
    booted = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    return judge(command.run(["systemctl", "show", unit, f"--property={ASKED}"], TIMEOUT).text, booted)


def judge(shown: str, booted: float) -> bool:
    """Judge what systemd shows: a process keeps the secrets of its environment until its end, so new ones need a restart.

    Args:
        shown: The properties ASKED, as `systemctl show` prints them.
        booted: When this host booted, in seconds since the epoch.
    """
    lines = [line.partition("=")[::2] for line in shown.splitlines()]
    properties = dict(lines)
    files = [Path(value.rpartition(" (")[0] or value) for name, value in lines if name == "EnvironmentFiles"]
    # A set of secrets is a directory, which a link `current` leads to.
    switched = [file.parent.lstat().st_mtime for file in files if file.parent.is_symlink()]
    begun = booted + int(properties.get("ExecMainStartTimestampMonotonic") or 0) / 1e6
    return properties.get("CanReload") == "yes" and max(switched, default=0.0) < begun
