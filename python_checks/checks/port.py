"""A port is free for a server, or held by our own; else who holds it."""

import argparse
import errno
import ipaddress
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from python_checks.core import options as opt
from python_checks.core.result import CheckError, Fault, Result, State, conclude
from python_checks.host import processes, sockets

NEEDS: tuple[str, ...] = ()

WILDCARDS = ("0.0.0.0", "::")


@dataclass(frozen=True)
class Holders:
    """Processes that hold a port; `listens` false: the port is bound only, and these are the likely ones."""

    pids: list[int]
    hidden: bool = False  # some processes are closed to this user
    listens: bool = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    parser.add_argument(
        "--host", default="127.0.0.1", help="address that the server will bind to (%(default)s)"
    )
    parser.add_argument("--port", type=opt.port, required=True, help="TCP port that the server will bind to")
    parser.add_argument(
        "--pid",
        type=opt.pid,
        action="append",
        default=[],
        help="main process of a server of this deploy: it may hold the port; can be given more than once",
    )


def run(options: argparse.Namespace) -> Result:
    """Try to bind; if that fails, look for the holder."""
    if free(options.host, options.port):
        return conclude("port", [], f"{options.host}:{options.port} is free")
    return judge(options.host, options.port, options.pid, holders(options.host, options.port))


def free(host: str, port: int) -> bool:
    """Bind to every address of `host` as a server does, and once without SO_REUSEADDR.

    SO_REUSEADDR alone does not see a socket that is bound but does not listen yet (a vLLM that still loads).

    Raises:
        CheckError: the host has no such address, or this user may not bind the port.
    """
    try:
        places = {(info[0], info[4]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        for family, place in places:
            # Without SO_REUSEADDR closing connections count as well; they are in the kernel's table.
            closing = any(entry.port == port and not entry.listens for entry in sockets.table())
            for reuse in (1,) if closing else (1, 0):
                with socket.socket(family, socket.SOCK_STREAM) as trial:
                    trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
                    if family == socket.AF_INET6:
                        trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    trial.bind(place)
    except socket.gaierror as error:
        raise CheckError(Fault(f"{host} is no address: {error.strerror}", "correct the host")) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise CheckError(_unbindable(host, port, error)) from error
    return True


def _unbindable(host: str, port: int, error: OSError) -> Fault:
    user = processes.user_name(os.geteuid())
    if error.errno == errno.EADDRNOTAVAIL:
        return Fault(f"this host has no address {host}", "use an address that `ip address` shows, or 0.0.0.0")
    state = State.UNKNOWN if isinstance(error, PermissionError) else State.CRITICAL
    remedy = "ask as root, or take a port above 1023"
    return Fault(f"user {user} may not bind {host}:{port}: {error.strerror}", remedy, state)


def holders(host: str, port: int) -> Holders:
    """Return the processes that hold `port` on an address that overlaps `host`."""
    entries = [entry for entry in sockets.table() if entry.port == port and entry.listens]
    inodes = {entry.inode for entry in entries if overlaps(host, entry.address)}
    if not inodes:
        return Holders(sockets.silent_tcp(), hidden=True, listens=False)
    found, hidden = sockets.owners(inodes)
    return Holders(sorted(found), hidden)


def overlaps(host: str, address: str) -> bool:
    """Tell whether a listener on `address` keeps `host` from being bound: the same one, or any wildcard."""
    try:
        same = ipaddress.ip_address(host) == ipaddress.ip_address(address.removeprefix("::ffff:"))
    except ValueError:  # a name: do not guess which of its addresses
        same = True
    return same or address in WILDCARDS or host in WILDCARDS


def judge(host: str, port: int, own: Sequence[int], held: Holders) -> Result:
    """Accept holders that belong to the processes `own`; name all others."""
    place = f"{host}:{port}"
    evidence = {"holders": [processes.describe(pid) for pid in held.pids]}
    fault = stranger(place, held, lambda pid: any(processes.belongs(pid, each) for each in own))
    words = f"{place} is held by our own server (pid {', '.join(map(str, own))})"
    return conclude("port", [fault] if fault else [], words, evidence)


def stranger(place: str, held: Holders, own: Callable[[int], bool]) -> Fault | None:
    """Fault holders of a port that is not free, unless one of them is ours."""
    if any(own(pid) for pid in held.pids):
        return None
    remedy = "stop it, or give the server another port"
    words = (
        f"{place} is held"
        if held.listens
        else f"{place} is bound by a server that does not listen yet, likely"
    )
    if held.pids:
        words += f" by {', '.join(processes.describe(pid) for pid in held.pids)}"
    elif held.hidden:
        words += f" by a process that user {processes.user_name(os.geteuid())} may not look into"
        remedy = f"see who: sudo ss -ltnp 'sport = :{place.rpartition(':')[2]}'; then {remedy}"
    else:
        words += " by no process that can be seen from here"
    return Fault(words, remedy)
