"""Who holds a TCP port, read from /proc/net/tcp, /proc/net/tcp6 and /proc/PID/fd (proc(5))."""

import os
import re
import socket
import struct
import sys
from dataclasses import dataclass

from python_checks.host import processes

LISTEN = "0A"  # state of a socket in /proc/net/tcp (include/net/tcp_states.h)


@dataclass(frozen=True)
class TcpEntry:
    """One line of the kernel's table of TCP sockets."""

    address: str
    port: int
    listens: bool
    inode: int


def table() -> list[TcpEntry]:
    """Return every TCP socket of this network namespace that has a port in the kernel's table."""
    entries = []
    for name in ("tcp", "tcp6"):
        try:
            lines = (processes.PROC / "net" / name).read_text().splitlines()[1:]
        except OSError:  # IPv6 is off, or /proc shows only processes
            continue
        for line in lines:
            fields = line.split()
            address, _, port = fields[1].partition(":")
            entries.append(TcpEntry(_address(address), int(port, 16), fields[3] == LISTEN, int(fields[9])))
    return entries


def _address(digits: str) -> str:
    """Turn the kernel's hexadecimal address (32-bit words in the machine's byte order) into text."""
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    packed = struct.pack(f"{'<' if sys.byteorder == 'little' else '>'}{len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)


def owners(inodes: set[int]) -> tuple[dict[int, list[int]], bool]:
    """Return pid -> those of `inodes` it holds, and whether any process was closed to us."""
    found: dict[int, list[int]] = {}
    hidden = False
    for pid in processes.pids():
        try:
            held = inodes & set(descriptors(pid))
        except PermissionError:
            hidden = True
        except OSError:  # ended meanwhile
            continue
        else:
            if held:
                found[pid] = sorted(held)
    return found, hidden


def descriptors(pid: int) -> dict[int, str]:
    """Return inode -> path of the descriptor for every socket that `pid` holds.

    Raises:
        OSError: the process is gone, or belongs to someone else (PermissionError).
    """
    found = {}
    with os.scandir(processes.PROC / str(pid) / "fd") as entries:
        for entry in entries:
            try:
                match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry.path))
            except FileNotFoundError:
                continue
            if match:
                found[int(match[1])] = entry.path
    return found


def silent_tcp() -> list[int]:
    """Return the processes with a TCP socket that the kernel's table does not show: bound, or not even that.

    vLLM binds its port when it starts and listens minutes later; until then only this gives it away.
    """
    known = {entry.inode for entry in table()}
    found = []
    for pid in processes.pids():
        try:
            paths = [path for inode, path in descriptors(pid).items() if inode not in known]
            if any(os.getxattr(path, "system.sockprotoname").startswith(b"TCP") for path in paths):
                found.append(pid)
        except OSError:
            continue
    return found
