"""Facts about processes, read from /proc (proc(5))."""

import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from python_checks.core.result import shorten
from python_checks.core.say import Said, say

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


def command(pid: int) -> list[str]:
    """Return the words of a command line.

    One that is ending has given its memory back, and its command line with it, while the driver may still be
    busy with what it had open: then its name, cut by the kernel to 15 characters. Nothing when it is gone.
    """
    try:
        raw = (PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0")
        if raw:
            return raw.decode(errors="replace").split("\0")
        return [(PROC / str(pid) / "comm").read_text(errors="replace").strip()] if stat(pid) else []
    except OSError:
        return []


def resident(pid: int) -> int:
    """Return the bytes of memory that a process has in RAM, 0 when it is gone."""
    try:
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def memory() -> tuple[int, int]:
    """Return the bytes of the host's memory, and of that what programs can get."""
    lines = (PROC / "meminfo").read_text().splitlines()
    sizes = {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return sizes["MemTotal"], sizes.get("MemAvailable", sizes["MemFree"])


ENDED = say("just ended")


def describe(pid: int, ended: str = ENDED) -> Said:
    """Return `pid 12 (user vllm): command line`, cut to a readable length; `ended`: what to say of one that is gone."""
    words = command(pid)
    try:
        uid = (PROC / str(pid)).stat().st_uid
    except OSError:
        words = []
    if not words:
        return say("pid {pid} ({ended})", pid=pid, ended=ended)
    return say(
        "pid {pid} (user {user}): {command}",
        pid=pid,
        user=user_name(uid),
        command=shorten(" ".join(words), 100),
    )


def user_name(uid: int) -> str:
    """Return the name of a user id, or the id where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
