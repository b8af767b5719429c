#!/usr/bin/env -S python3 -I
"""Restart a unit of systemd, or follow a start under way, and show its phase on standard error.

    service restart|follow UNIT LOG
    service try-restart UNIT         "PID STARTED" on standard input, in clock ticks since boot: restart that process, or say why not

The unit's ExecStartPost tells its phase by STATUS= and ends when the service answers, so `systemctl restart` itself waits for that.
When the start fails, what the log got since then is on standard output. The unit's own TimeoutStartSec is the deadline.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

PAUSE = 0.5  # seconds between two looks
REPEAT = 10.0  # seconds after which an unchanged phase is shown again
VERDICT = re.compile(r"^(?:guard|wait) (?:CRITICAL|UNKNOWN): |^remedy: ")
LINES = 15  # of the log, behind a failure
STARTING = ("activating", "reloading", "deactivating")


def systemctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemctl."""
    return subprocess.run(["systemctl", *arguments], capture_output=True, text=True, timeout=120, check=False)


def show(unit: str) -> dict[str, str]:
    """Return the state of a unit."""
    names = "ActiveState,SubState,StatusText,Result,NRestarts"
    lines = systemctl("show", unit, f"--property={names}").stdout.splitlines()
    return dict(line.partition("=")[::2] for line in lines)


class Screen:
    """Lines on standard error: each new one, and an old one now and then."""

    def __init__(self) -> None:
        """Time runs from now."""
        self.start, self.said, self.said_at = time.monotonic(), "", 0.0

    def say(self, words: str) -> None:
        """Show what is new."""
        now = time.monotonic()
        if words != self.said or now - self.said_at > REPEAT:
            self.said, self.said_at = words, now
            print(f"{words} ({now - self.start:.0f} s)", file=sys.stderr, flush=True)


def phase(state: dict[str, str]) -> str:
    """Return what a unit does, in words."""
    if state["ActiveState"] == "deactivating":
        return "stopping: running requests get their time to end"
    return state["StatusText"] or state["SubState"]


def can_reload(unit: str) -> bool:
    """Tell whether a reload brings what is wanted: a process keeps the secrets of its environment until its end."""
    names = "--property=CanReload,ExecMainStartTimestampMonotonic,EnvironmentFiles"
    lines = [line.partition("=")[::2] for line in systemctl("show", unit, names).stdout.splitlines()]
    found = dict(lines)
    begun = (
        time.time()
        - time.clock_gettime(time.CLOCK_MONOTONIC)
        + int(found.get("ExecMainStartTimestampMonotonic") or 0) / 1e6
    )
    files = [Path(value.rpartition(" (")[0] or value) for name, value in lines if name == "EnvironmentFiles"]
    # A set of secrets is a directory, which a link `current` leads to.
    switched = [file.parent.lstat().st_mtime for file in files if file.parent.is_symlink()]
    return found.get("CanReload") == "yes" and max(switched, default=0.0) < begun


def restart(unit: str, screen: Screen) -> bool:
    """Restart a unit, or have it reload where it can, also at boot from now on, and tell whether it answers."""
    for command in ("daemon-reload",), ("reset-failed", unit), ("enable", "--quiet", unit):
        systemctl(*command)  # the restart says what is wrong
    verb = "reload-or-restart" if can_reload(unit) else "restart"
    with subprocess.Popen(["systemctl", verb, unit], stderr=subprocess.PIPE, text=True) as job:
        while job.poll() is None:
            screen.say(phase(show(unit)))
            time.sleep(PAUSE)
    return job.returncode == 0


def follow(unit: str, screen: Screen) -> bool:
    """Follow a start under way, and tell whether the unit answers."""
    while (state := show(unit))["ActiveState"] in STARTING and state["SubState"] != "auto-restart":
        screen.say(phase(state))
        time.sleep(PAUSE)
    return state["ActiveState"] == "active"


def obituary(unit: str, log: Path, since: int) -> str:
    """Return why a start failed: the verdicts in the log since then, and its end."""
    with log.open("rb") as file:
        file.seek(since if log.stat().st_size >= since else 0)
        lines = file.read().decode("utf-8", "replace").splitlines()
    verdicts = [line for line in lines if VERDICT.match(line)][-4:]
    state = show(unit)
    return "\n".join(
        [
            f"{unit}.service did not get ready ({state['Result'] or state['ActiveState']}).",
            *dict.fromkeys(verdicts),
            f"The end of {log}:",
            *(f"  {line[:200]}" for line in lines[-LINES:]),
        ]
    )


def started(pid: str) -> str:
    """Return when a process started, in clock ticks since boot; empty when there is none."""
    try:
        return Path(f"/proc/{int(pid)}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (OSError, ValueError):
        return ""


def try_restart(unit: str) -> str:
    """Begin a restart of the process that was judged; return why there is none, empty when there is.

    A unit that was stopped, or is to be, in this very moment stays so: what an operator wants comes first.
    """
    judged = sys.stdin.readline(100).split()
    state, pid = show(unit), systemctl("show", unit, "--property=MainPID", "--value").stdout.strip()
    if state["ActiveState"] != "active" or judged != [pid, started(pid)]:
        return f"by now it is {state['ActiveState']} {state['SubState']} (process {pid})"
    done = systemctl("--no-block", "--job-mode=fail", "try-restart", unit)
    return f"systemd refuses a restart: {done.stderr.strip()}" if done.returncode else ""


def main() -> int:
    """Run the action and return 0 when the unit answers."""
    if sys.argv[1] == "try-restart":
        print(try_restart(sys.argv[2]) or "restarted")
        return 0
    action, unit, log = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    since = log.stat().st_size if action == "restart" and log.exists() else 0
    screen = Screen()
    if {"restart": restart, "follow": follow}[action](unit, screen):
        return 0
    print(obituary(unit, log, since) if log.exists() else systemctl("status", unit).stdout)
    return 1


if __name__ == "__main__":
    sys.exit(main())
