"""Whether nftables lets a connection in: a new one from a host that is not known, led through `nft --json list ruleset`.

What only some hosts would get through, or what is not understood (matches of iptables), closes nothing: libnftables-json(5).
"""

import json
from collections.abc import Iterator
from typing import Any

from python_checks.doctor.nft_match import Connection, is_port

Rule = list[dict[str, Any]]
Key = tuple[str, str, str]  # family, table, name
DROPS, PASSES = "drop", "accept"


class Walk:
    """The chains of a ruleset, and the way of one connection through them.

    Args:
        text: What nft printed.
        port: TCP port that is asked for.
        family: ip or ip6.
    """

    def __init__(self, text: str, port: int, family: str) -> None:
        """Read the ruleset."""
        self.port, self.family = port, family
        self.bases: list[dict[str, Any]] = []
        self.rules: dict[Key, list[Rule]] = {}
        self.sets: dict[Key, Any] = {}
        self.table, self.connection = ("", ""), Connection(port, family, {})
        self.doubt = False  # something that is not understood may have let it in
        for kind, facts in (entry for each in json.loads(text)["nftables"] for entry in each.items()):
            key = (
                facts.get("family", ""),
                facts.get("table", ""),
                facts.get("chain") or facts.get("name", ""),
            )
            if kind == "rule":
                self.rules.setdefault(key, []).extend(_expanded(facts["expr"]))
            elif kind == "set":
                self.sets[key] = facts.get("elem", [])
            elif kind == "chain" and facts.get("hook") == "input" and key[0] in ("inet", family):
                self.bases.append(facts)

    def closed_by(self) -> str:
        """Return the chain that keeps the connection out, empty when none surely does."""
        for base in sorted(self.bases, key=lambda facts: int(facts["prio"])):
            self.table, self.doubt = (base["family"], base["table"]), False
            sets = {key[2]: elements for key, elements in self.sets.items() if key[:2] == self.table}
            self.connection = Connection(self.port, self.family, sets)
            end = self._lead(base["name"], True)
            if end == DROPS or (not end and base.get("policy") == DROPS and not self.doubt):
                return f"{base['family']} {base['table']} {base['name']}"
        return ""

    def _lead(self, chain: str, sure: bool) -> str:
        """Return how the connection ends in a chain, empty when it comes out behind it; `sure`: that it gets there."""
        for rule in self.rules.get((*self.table, chain), []):
            certain, named, end = self._reach(rule, sure)
            if end in (PASSES, "unknown") and not certain:
                self.doubt = True
            elif end == PASSES or (end == DROPS and certain and (named or not self.doubt)):
                return end
            elif end.startswith(("jump ", "goto ")):
                inner = self._lead(end[5:], certain)
                if inner:
                    return inner
                sure = sure and end.startswith("jump ")  # from there it does not come back
            elif end == "return":
                if certain:
                    return ""
                sure = False
        return ""

    def _reach(self, rule: Rule, sure: bool) -> tuple[bool, bool, str]:
        """Return whether the connection surely fits a rule, whether it names the port, and what the rule does then."""
        named = False
        for statement in rule:
            kind, facts = next(iter(statement.items()))
            if kind == "match":
                fits = self.connection.fits(facts)
                if fits is False:
                    break
                sure = sure and bool(fits)
                named = named or is_port(facts["left"])
            elif kind in ("accept", "return"):
                return sure, named, kind
            elif kind in ("drop", "reject"):
                return sure, named, DROPS
            elif kind == "xt":  # of iptables; older versions of nft do not even tell its name
                known = facts or {}
                if known.get("name") in ("DROP", "REJECT"):
                    return sure, named, DROPS
                sure = sure and known.get("type") == "target"
            elif kind in ("jump", "goto"):
                return sure, named, f"{kind} {facts['target']}"
            elif kind in ("vmap", "queue"):  # a map that is kept elsewhere, a program that decides
                return False, named, "unknown"
            elif kind == "limit":
                sure = False
        return False, False, ""


def _expanded(rule: Rule) -> Iterator[Rule]:
    """Yield a rule, one with a map of verdicts as a rule for each of them."""
    place = next((place for place, statement in enumerate(rule) if "vmap" in statement), None)
    data = rule[place]["vmap"]["data"] if place is not None else None
    if place is None or not isinstance(data, dict):
        yield rule
        return
    for right, verdict in data["set"]:
        match = {"match": {"op": "==", "left": rule[place]["vmap"]["key"], "right": right}}
        yield [*rule[:place], match, verdict]
