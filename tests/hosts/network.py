"""The bridge of a run, with a /24 of its own; systemd-nspawn plugs the guests' links into it and takes them away again."""

from __future__ import annotations

import ipaddress
import itertools
import json
import subprocess
from contextlib import suppress
from pathlib import Path

from waiting import HostsError, locked

# The range for benchmarks of network devices (RFC 2544) comes first: nobody's office or VPN lives there.
POOLS = ("198.18.0.0/15", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


def ip(*arguments: str) -> str:
    """Run iproute2's ``ip`` and return what it prints."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise HostsError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def exists(link: str) -> bool:
    """Tell whether the machine has a network interface of this name."""
    return Path("/sys/class/net", link).exists()


def free_network() -> ipaddress.IPv4Network:
    """Return a /24 that no route of the machine touches, the default route aside."""
    routes = [
        ipaddress.ip_network(route["dst"])
        for route in json.loads(ip("-json", "-4", "route", "show", "table", "all"))
        if route["dst"] != "default"
    ]
    candidates = (ipaddress.IPv4Network(pool).subnets(new_prefix=24) for pool in POOLS)
    for candidate in itertools.chain.from_iterable(candidates):
        if not any(candidate.overlaps(route) for route in routes):
            return candidate
    raise HostsError(f"every /24 of {', '.join(POOLS)} is routed on this machine")


def create(bridge: str) -> ipaddress.IPv4Network:
    """Create a bridge and return its network; its first address is the controller's."""
    # Any two runs must share this lock, whatever their clones and homes: between looking and taking, another could take the same.
    with locked(Path("/run"), 30, "a network for the hosts"):
        network = free_network()
        ip("link", "add", bridge, "type", "bridge")
        ip("address", "add", f"{network[1]}/{network.prefixlen}", "dev", bridge)
        ip("link", "set", bridge, "up")
    return network


def remove(bridge: str) -> bool:
    """Remove a bridge with its guests' links; tell whether there was one."""
    if not exists(bridge):
        return False
    # A dead guest's link lasts as long as its namespace, and a connection that was cut holds that for a minute.
    for link in Path("/sys/class/net", bridge, "brif").iterdir():
        with suppress(HostsError):  # gone meanwhile
            ip("link", "delete", link.name)
    ip("link", "delete", bridge)
    return True
