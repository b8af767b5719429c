"""Whether a new TCP connection from a host that is not known fits a match of nftables: libnftables-json(5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OTHERS = ("udp", "udplite", "icmp", "icmpv6", "sctp", "dccp")
DEVICE = "*"  # what it came in by: some interface, yet not the loopback
Value = int | str | tuple[Any, ...] | None  # None is not known


@dataclass(frozen=True)
class Connection:
    """One that is asked for at `port`; `family` is ip or ip6, `sets` the elements of a table's sets by name."""

    port: int
    family: str
    sets: Mapping[str, Any]

    def fits(self, match: Mapping[str, Any]) -> bool | None:
        """Tell whether it fits; None when that depends on more than is known."""
        kind, facts = _entry(match["left"])
        if kind == "payload" and facts.get("protocol") in OTHERS:
            return False
        found = self._holds(self._value(match["left"]), match["right"])
        return found if found is None or match["op"] != "!=" else not found

    def _value(self, left: Any) -> Value:
        """Return what the connection has there."""
        kind, facts = _entry(left)
        if kind == "concat":
            return tuple(self._value(each) for each in facts)
        if not isinstance(facts, dict):  # some of its bits
            return None
        if is_port(left):
            return self.port
        known = {
            ("meta", "iif"): DEVICE,
            ("meta", "iifname"): DEVICE,
            ("meta", "l4proto"): "tcp",
            ("payload", "protocol"): "tcp",
            ("payload", "nexthdr"): "tcp",
            ("meta", "nfproto"): "ipv4" if self.family == "ip" else "ipv6",
            ("ct", "state"): "new",
            ("ct", "status"): "",  # nothing happened to it yet
        }
        return known.get((kind, facts.get("key") or facts.get("field", "")))

    def _holds(self, value: Value, right: Any) -> bool | None:
        """Tell whether a value is, or is among, what stands on the right."""
        if isinstance(right, str) and right.startswith("@"):
            right = self.sets.get(right[1:])
        kind, facts = _entry(right)
        if kind == "set":
            right = facts
        if isinstance(right, list):
            answers = [self._holds(value, each) for each in right]
            return True if True in answers else None if None in answers else False
        if kind == "concat" and isinstance(value, tuple):
            parts = [self._holds(mine, part) for mine, part in zip(value, facts, strict=True)]
            return False if False in parts else None if None in parts else True
        if kind == "range" and isinstance(value, int):
            return bool(facts[0] <= value <= facts[1])
        if value == DEVICE:
            return False if right == "lo" else None
        return right == value if value is not None and isinstance(right, str | int) and right != "*" else None


def is_port(left: Any) -> bool:
    """Tell whether the left of a match is the port that is asked for."""
    kind, facts = _entry(left)
    return kind == "payload" and facts.get("protocol") in ("tcp", "th") and facts.get("field") == "dport"


def _entry(value: Any) -> tuple[str, Any]:
    """Return the one name in an object and what it holds."""
    return next(iter(value.items())) if isinstance(value, dict) and value else ("", {})
