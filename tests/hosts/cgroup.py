"""The control groups of a run. They tell which processes are ours: by name alone, also after a crash that left no files."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from waiting import HostsError, until

MOUNT = Path("/sys/fs/cgroup")


def hierarchies() -> list[Path]:
    """Return the mount of cgroup v2, and on a hybrid machine the v1 tree in which systemd-nspawn makes the same groups."""
    unified = [path for path in (MOUNT, MOUNT / "unified") if (path / "cgroup.controllers").exists()]
    if not unified:
        raise HostsError(f"no cgroup v2 below {MOUNT}: mount it (hybrid: at {MOUNT}/unified)")
    return [unified[0], *(path for path in [MOUNT / "systemd"] if path.exists())]


def create(name: str) -> Path:
    """Create a group in cgroup v2 and return its directory."""
    group = hierarchies()[0] / name
    group.mkdir(parents=True)
    return group


def inside(group: Path, command: Sequence[str | Path]) -> list[str]:
    """Return a command that runs another one as a member of a group."""
    return ["sh", "-c", 'echo 0 >"$0/cgroup.procs" && exec "$@"', str(group), *map(str, command)]


def path(name: str) -> Path:
    """Return the directory of a group in cgroup v2."""
    return hierarchies()[0] / name


def members(group: Path) -> dict[int, str]:
    """Return the pids and names of the processes in a group and below."""
    found = {}
    # Not Path.glob: it fails when a guest removes a group meanwhile.
    for directory, _, _ in os.walk(group):
        with suppress(OSError):
            for pid in Path(directory, "cgroup.procs").read_text().split():
                found[int(pid)] = Path("/proc", pid, "comm").read_text().strip()
    return found


def terminate(group: Path, names: Sequence[str]) -> None:
    """Send SIGTERM to the members of a group that have one of these names."""
    for pid, name in members(group).items():
        if name in names:
            with suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                # Asked again with the descriptor in hand: the pid may be another process's by now.
                if members(group).get(pid) == name:
                    signal.pidfd_send_signal(descriptor, signal.SIGTERM)
                os.close(descriptor)


def empty(group: Path) -> bool:
    """Tell whether neither a group nor those below it have a process."""
    try:
        return "populated 0" in (group / "cgroup.events").read_text()
    except FileNotFoundError:
        return True


def remove(name: str) -> bool:
    """Kill what still runs in a group and remove the group in every hierarchy; tell whether there was one."""
    found = False
    for hierarchy in hierarchies():
        group = hierarchy / name
        if not group.exists():
            continue
        found = True
        if (group / "cgroup.kill").exists():
            (group / "cgroup.kill").write_text("1")
            until(lambda group=group: empty(group), 10, f"the processes of {group} are gone")
        until(lambda group=group: _removed(group), 10, f"{group} is removed")
    return found


def _removed(group: Path) -> bool:
    """Remove a group and those below it; a group whose processes are being reaped is still busy."""
    for directory, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):
            os.rmdir(directory)
    return not group.exists()
