"""The keys of the gateway: rows of the inventory as lines of HAProxy's map, which holds hashes and never a key."""

import datetime
import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from python_checks.core.result import CheckError, Fault
from python_checks.core.say import Said, joined, say
from python_checks.gateway import admin

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
HASH = re.compile(r"[0-9a-f]{64}")
PREFIX = "sk-"
NO_MAP = "Unknown map identifier"  # what HAProxy says of a file that its configuration does not name
REMEDY = say("correct the row in gateway_keys; checks key NAME prints a new one")


class Defaults(NamedTuple):
    """What holds for a row that does not say: the services that there are, requests at once and within a minute."""

    services: tuple[str, ...]
    parallel: int
    requests_a_minute: int


def make() -> str:
    """Return a new key, of 256 bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    """Return the hash by which the gateway knows a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def lines(rows: Iterable[Mapping[str, Any]], defaults: Defaults) -> list[str]:
    """Return the lines of the map.

    Raises:
        CheckError: rows are not what they should be; it names all of them.
    """
    rows = list(rows)
    faults = [fault for row in rows for fault in _faults(row, defaults)]
    hashes = [str(row.get("sha256", "")) for row in rows]
    faults += [
        say("the hash {start}… stands in two rows", start=each[:8])
        for each in sorted(set(hashes))
        if hashes.count(each) > 1
    ]
    if faults:
        raise CheckError(Fault(joined("; ", faults), REMEDY))
    return [line(row, defaults) for row in rows]


def line(row: Mapping[str, Any], defaults: Defaults) -> str:
    """Return the line of one sound row: hash, then name, end of validity in seconds since the epoch, services, and three limits."""
    services = row.get("services") or defaults.services
    words = (
        row["name"],
        _end(row.get("expires") or ""),
        f"|{'|'.join(services)}|",
        _number(row, "parallel", defaults.parallel),
        _number(row, "requests_a_minute", defaults.requests_a_minute),
        _number(row, "tokens_a_day", 0),
    )
    return f"{row['sha256']} {':'.join(map(str, words))}"


def _number(row: Mapping[str, Any], name: str, default: int) -> int:
    return default if row.get(name) is None else int(row[name])


def _end(expires: str) -> int:
    """Return when a key ends: at the end of its last day, by the host's clock."""
    if not expires:
        return 0
    day = datetime.date.fromisoformat(expires) + datetime.timedelta(days=1)
    return int(datetime.datetime.combine(day, datetime.time()).timestamp())


def _faults(row: Mapping[str, Any], defaults: Defaults) -> list[Said]:
    name, found = str(row.get("name", "")), list[Said]()
    if not NAME.fullmatch(name):
        found.append(say("{name!r} is not a name: use letters, digits and . _ -, 64 at most", name=name))
    if not HASH.fullmatch(str(row.get("sha256", ""))):
        found.append(say("sha256 of {name} is not 64 lower-case hexadecimal digits", name=name))
    unknown = set(row.get("services") or ()) - set(defaults.services)
    if unknown:
        found.append(
            say(
                "{name} may use {unknown}, but the gateway serves {services}",
                name=name,
                unknown=", ".join(sorted(unknown)),
                services=", ".join(defaults.services),
            )
        )
    try:
        _end(str(row.get("expires") or ""))
    except (ValueError, OverflowError):
        found.append(
            say(
                "expires of {name} is {value}, not a day such as 2026-12-31",
                name=name,
                value=row.get("expires"),
            )
        )
    for limit in ("parallel", "requests_a_minute", "tokens_a_day"):
        if not re.fullmatch(r"[0-9]{1,15}", str(0 if row.get(limit) is None else row[limit])):
            found.append(
                say(
                    "{limit} of {name} is {value}, not a number from 0 on",
                    limit=limit,
                    name=name,
                    value=row[limit],
                )
            )
    return found


def apply(socket: Path, file: Path, wanted: list[str]) -> bool:
    """Bring the map of a running gateway to these lines, in one step for every request; tell whether it differed.

    A gateway that serves everyone has none: with keys it gets another configuration, and the map with that.

    Raises:
        FileNotFoundError, ConnectionRefusedError: no gateway runs.
        CheckError: it does not do so.
    """
    shown = admin.ask(socket, f"show map {file}")
    if shown.startswith(NO_MAP):
        return False
    served = sorted(each.partition(" ")[2] for each in shown.splitlines() if each.startswith("0x"))
    if served == sorted(wanted):
        return False
    version = re.search(r"version created: (\d+)", admin.ask(socket, f"prepare map {file}"))
    if not version:
        raise _refused(shown)
    # A payload ends with an empty line.
    for command in (
        f"add map @{version[1]} {file} <<\n" + "\n".join(wanted) + "\n",
        f"commit map @{version[1]} {file}",
    ):
        if answer := admin.ask(socket, command):
            raise _refused(answer)
    return True


def _refused(answer: str) -> CheckError:
    return CheckError(
        Fault(
            say("the gateway does not take up the keys: {answer}", answer=answer[:200]),
            say("see its log, then: systemctl reload gateway"),
        )
    )
