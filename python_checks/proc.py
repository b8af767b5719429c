"""Facts about processes, read from /proc (proc(5))."""

import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from python_checks.result import shorten

PROC = Path("/proc")


@dataclass(frozen=True)
class Stat:
    """The fields of /proc/PID/stat that are used here; `started` is in clock ticks since boot."""

    state: str
    parent: int
    group: int
    started: int


def stat(pid: int) -> Stat | None:
    """Return what the kernel says about `pid`; None when there is no such process or it is a zombie."""
    try:
        # The command is in brackets and may hold blanks and brackets itself: split behind the last one.
        fields = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    if fields[0] in "ZX":
        return None
    return Stat(fields[0], int(fields[1]), int(fields[2]), int(fields[19]))


def started_at(pid: int) -> float | None:
    """Return the start of `pid` in seconds since the epoch."""
    facts = stat(pid)
    boot = [line for line in (PROC / "stat").read_text().splitlines() if line.startswith("btime ")]
    if facts is None or not boot:
        return None
    return int(boot[0].split()[1]) + facts.started / os.sysconf("SC_CLK_TCK")


def pids() -> Iterator[int]:
    """Yield the ids of all processes that can be seen."""
    yield from (int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal())


def belongs(pid: int, root: int) -> bool:
    """Tell whether `pid` is `root`, one of its descendants, or in its process group."""
    facts, own = stat(pid), stat(root)
    if own and facts and facts.group == own.group:
        return True
    while pid > 1:
        if pid == root:
            return True
        facts = stat(pid)
        pid = facts.parent if facts else 0
    return False


def describe(pid: int) -> str:
    """Return `pid 12 (user vllm): command line`, cut to a readable length."""
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        uid = (PROC / str(pid)).stat().st_uid
    except OSError:
        return f"pid {pid} (just ended)"
    return f"pid {pid} (user {user_name(uid)}): {shorten(words, 100) or 'no command line'}"


def user_name(uid: int) -> str:
    """Return the name of a user id, or the id where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
