"""Ports for servers that tests start some time later."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from pathlib import Path

# The kernel gives those from here on to connections, of other tests too, and one that `bind` to 0 names is of them.
TAKEN_BY_CONNECTIONS = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
FIRST = 10000


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens, and that nobody gets without asking for it."""
    while True:
        port = random.SystemRandom().randrange(FIRST, TAKEN_BY_CONNECTIONS)
        with suppress(OSError), socket.socket() as place:
            place.bind(("127.0.0.1", port))
            return port
