"""Whether the firewall of this host keeps other hosts from a port, by what ufw says."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from python_checks.core import command
from python_checks.core.finding import Finding
from python_checks.core.result import State
from python_checks.core.say import say
from python_checks.service.facts import Service

TIMEOUT = 10.0  # seconds
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"  # where it is; no user's PATH has it
UFW = ("ufw", "status", "verbose")
CAUSE = say("the firewall of this host lets nobody in at this port")
_RULE = re.compile(r"^(\S.*?) {2,}(ALLOW|LIMIT|DENY|REJECT)(?: IN)? {2,}(.*?) *(?:#.*)?$")
_PORTS = re.compile(r"^([\d,:]+)(?:/(\w+))?(?: \([^)]*\))?$")


@dataclass(frozen=True)
class Wall:
    """A firewall that closes a port: what says so, and how to let somebody in."""

    words: str
    remedy: str


def is_local(service: Service) -> bool:
    """Tell whether a service listens for programs of its own host only."""
    return service.host.startswith("127.") or service.host in ("localhost", "::1")


def walls(services: Mapping[str, Service]) -> dict[str, Wall]:
    """Return name -> what keeps other hosts from a service; one that listens for this host only needs none.

    An ufw that is not installed, or may not be asked, says nothing.
    """
    open_ones = {name: each for name, each in services.items() if each.pid and not is_local(each)}
    text = _ask(*UFW) if open_ones else ""
    found = {name: by_ufw(text, each.port) for name, each in open_ones.items()}
    return {name: wall for name, wall in found.items() if wall}


def by_ufw(text: str, port: int) -> Wall | None:
    """Read `ufw status verbose`: the first rule that fits decides, then the default."""
    if not text.startswith("Status: active"):
        return None
    remedy = say("let in who may use it: sudo ufw allow from ADDRESS to any port {port} proto tcp", port=port)
    for line in text.splitlines():
        rule = _RULE.match(line)
        if not rule or "(v6)" in rule[1]:
            continue
        fits, anywhere = _fits(rule[1], port), rule[3] == "Anywhere"
        if fits is not False and rule[2] in ("ALLOW", "LIMIT"):  # at least for some hosts
            return None
        if fits and anywhere:
            return Wall(say("ufw status: {rule}", rule=" ".join(line.split())), remedy)
    default = re.search(r"^Default: (?:deny|reject) \(incoming\)", text, re.MULTILINE)
    return (
        Wall(say("ufw status: {default}, and no rule for port {port}", default=default[0], port=port), remedy)
        if default
        else None
    )


def _fits(to: str, port: int) -> bool | None:
    """Tell whether a rule's column To holds a port; None for what names an address, an interface or a program."""
    if to == "Anywhere":
        return True
    found = _PORTS.match(to)
    if not found:
        return None
    spans = [part.split(":") for part in found[1].split(",") if part]
    return found[2] in (None, "tcp") and any(int(span[0]) <= port <= int(span[-1]) for span in spans)


def judge(services: Mapping[str, Service], found: Mapping[str, Wall]) -> Iterator[Finding]:
    """Make a finding of each."""
    for name, wall in found.items():
        words = say(
            "other hosts get no connection to {name} at port {port}", name=name, port=services[name].port
        )
        yield Finding(State.WARNING, words, wall.words, CAUSE, wall.remedy)


def _ask(name: str, *arguments: str) -> str:
    program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SBIN}")
    try:
        done = command.run((program, *arguments), TIMEOUT) if program else None
    except OSError:
        return ""
    return done.text if done else ""
