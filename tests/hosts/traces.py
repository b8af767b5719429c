"""What test hosts could leave on the machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def traces() -> dict[str, set[str]]:
    """Return it, to compare before and after."""
    return {
        "links": set(os.listdir("/sys/class/net")),
        "namespaces": {_namespace(entry) for entry in Path("/proc").glob("[0-9]*")} | {""},
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()},
        "groups": {str(path) for path in Path("/sys/fs/cgroup").glob("**/vd-*")},
        "files": {
            str(path) for path in [*Path("/run/systemd/nspawn").glob("**"), *Path("/tmp").glob("nspawn*")]
        }
        - {"/run/systemd/nspawn"},
        "routes": set(
            subprocess.run(
                ["ip", "-4", "route", "show", "table", "all"],
                capture_output=True,
                text=True,
                timeout=9,
                check=True,
            ).stdout.splitlines()
        ),
    }


def _namespace(entry: Path) -> str:
    try:
        return os.readlink(entry / "ns/net")
    except OSError:
        return ""


def processes(directory: Path, program: str = "") -> list[int]:
    """Return the processes of a run or another directory: it is in their command line, or is their root directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            ours = str(directory).encode() in (entry / "cmdline").read_bytes()
            ours |= os.readlink(entry / "root").startswith(str(directory))
            if ours and (entry / "comm").read_text().startswith(program):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
