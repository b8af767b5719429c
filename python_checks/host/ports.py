"""TCP ports of this host: whether a server could bind one, and who holds it."""

import errno
import ipaddress
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import joined, say
from python_checks.host import processes, sockets

WILDCARDS = ("0.0.0.0", "::", "")


@dataclass(frozen=True)
class Holders:
    """Processes that hold a port; `listens` false: the port is bound only, and these are the likely ones."""

    pids: list[int]
    hidden: bool = False  # some processes are closed to this user
    listens: bool = True


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
        raise CheckError(
            Fault(
                say("{host} is no address: {strerror}", host=host, strerror=error.strerror),
                say("correct the host"),
            )
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise CheckError(_unbindable(host, port, error)) from error
    return True


def _unbindable(host: str, port: int, error: OSError) -> Fault:
    user = processes.user_name(os.geteuid())
    if error.errno == errno.EADDRNOTAVAIL:
        return Fault(
            say("this host has no address {host}", host=host),
            say("use an address that `ip address` shows, or 0.0.0.0"),
        )
    state = State.UNKNOWN if isinstance(error, PermissionError) else State.CRITICAL
    remedy = say("ask as root, or take a port above 1023")
    return Fault(
        say(
            "user {user} may not bind {host}:{port}: {strerror}",
            user=user,
            host=host,
            port=port,
            strerror=error.strerror,
        ),
        remedy,
        state,
    )


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


def stranger(place: str, held: Holders, own: Callable[[int], bool]) -> Fault | None:
    """Fault holders of a port that is not free, unless one of them is ours."""
    if any(own(pid) for pid in held.pids):
        return None
    remedy = say("stop it, or give the server another port")
    words = (
        say("{place} is held", place=place)
        if held.listens
        else say("{place} is bound by a server that does not listen yet, likely", place=place)
    )
    if held.pids:
        words += say(" by {processes}", processes=joined(", ", map(processes.describe, held.pids)))
    elif held.hidden:
        words += say(
            " by a process that user {user} may not look into",
            user=processes.user_name(os.geteuid()),
        )
        remedy = say(
            "see who: sudo ss -ltnp 'sport = :{port}'; then {remedy}",
            port=place.rpartition(":")[2],
            remedy=remedy,
        )
    else:
        words += say(" by no process that can be seen from here")
    return Fault(words, remedy)
