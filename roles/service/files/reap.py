"""Event listener of supervisord: end what a service leaves behind, its processes and its files in /dev/shm.

supervisord watches the first process of a service. When that one is killed, the others of its process group live on (vLLM's engine
and workers: https://github.com/vllm-project/vllm/issues/55510) and hold memory beside the new server. vLLM also leaves shared memory
in /dev/shm at every stop. At each event and every two seconds this listener notes the files that each group maps, and cleans up after a
group whose first process is gone. It does the same when supervisord itself ends or is killed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple, NoReturn

from supervisor import childutils

GRACE = 10.0  # seconds that killed processes get to vanish
PAUSE = 2.0  # seconds between two looks; the event of a start comes before the process is there


class Process(NamedTuple):
    """One line of the process table."""

    pid: int
    parent: int
    group: int


def processes() -> list[Process]:
    """Return the process table, zombies left out."""
    table = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, parent, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                if state != "Z":
                    table.append(Process(int(entry.name), int(parent), int(group)))
    return table


def begun(pid: int) -> float:
    """Return when ``pid`` started, in seconds since the epoch; one that is gone now."""
    with contextlib.suppress(OSError, IndexError, StopIteration):
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
        return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    return time.time()


def shared_files(pid: int) -> set[int]:
    """Return the inodes of /dev/shm that ``pid`` maps; glibc maps a semaphore under another name than it leaves."""
    with contextlib.suppress(OSError):
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        return {int(line.split()[4]) for line in maps if " /dev/shm/" in line}
    return set()


class Reaper:
    """The process groups of the services of one supervisord, and the shared files that each was seen to map."""

    def __init__(self, supervisord: int) -> None:
        """Watch the children of the process ``supervisord``."""
        self.supervisord = supervisord
        self.files: dict[int, set[int]] = {}
        self.begun: dict[int, float] = {}

    def look(self) -> None:
        """Note what the groups map, and clean up after those whose first process is gone."""
        table = processes()
        running = {
            process.pid
            for process in table
            if process.parent == self.supervisord and process.pid != os.getpid()
        }
        for group in running | self.files.keys():
            files = self.files.setdefault(group, set())
            self.begun.setdefault(group, begun(group))
            for process in table:
                if process.group == group:
                    files |= shared_files(process.pid)
        for group in self.files.keys() - running:
            self.clean_up(group)

    def clean_up(self, group: int) -> None:
        """Kill what is left of ``group`` and remove its shared files."""
        deadline = time.monotonic() + GRACE
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(group, signal.SIGKILL)
                time.sleep(0.1)
        # A second less: of btime only whole ones are told.
        seen, since = self.files.pop(group), self.begun.pop(group) - 1
        # What was there before the group, is another user's, or is mapped by a program that lives is not its own to leave behind.
        in_use = set().union(*(shared_files(process.pid) for process in processes()))
        for file in Path("/dev/shm").iterdir():
            with contextlib.suppress(FileNotFoundError):
                facts = file.lstat()
                own = facts.st_uid == os.geteuid() and facts.st_ctime >= since
                if own and facts.st_ino in seen - in_use:
                    file.unlink()
        print(f"process group {group} ended, {len(seen)} files of /dev/shm seen", file=sys.stderr, flush=True)


def end(signum: int, frame: object) -> NoReturn:
    """Leave the main loop on SIGTERM."""
    raise SystemExit(0)


def main() -> None:
    """Serve events until supervisord ends; then look for the last time."""
    reaper = Reaper(os.getppid())
    signal.signal(signal.SIGTERM, end)
    try:
        while True:
            sys.stdout.write("READY\n")
            sys.stdout.flush()
            reaper.look()
            while not select.select([sys.stdin], [], [], PAUSE)[0]:
                reaper.look()
            header = sys.stdin.readline()
            if not header:
                break
            sys.stdin.read(int(childutils.get_headers(header)["len"]))
            sys.stdout.write("RESULT 2\nOK")
            sys.stdout.flush()
    finally:
        reaper.look()


if __name__ == "__main__":
    main()
