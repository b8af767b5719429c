"""Incidents on the disk: a directory each, bounded; ten are kept. Who reads them takes them for another user's files."""

import json
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from python_checks.core import regular_file
from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import say
from python_checks.incident.stands import Standing

DIRECTORY, SUMMARY = "incidents", "summary.json"
KEPT = 10
LARGEST = 256 * 2**10  # bytes of a file
DAY = 86400.0  # seconds
NAME = re.compile(r"\d{8}T\d{6}Z-\d+")  # when, and the main process
CUT = b"\n[cut]\n"


@dataclass(frozen=True)
class Incident:
    """What was kept before a restart.

    Attributes:
        path: Its directory.
        time: When, in seconds since the epoch.
        standings: Where the processes stood.
        requests: What is known of the open ones: running and waiting, None where the server did not tell, and ids.
        missing: What could not be had -> why.
    """

    path: Path
    time: float
    standings: Sequence[Standing] = ()
    requests: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    missing: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def begin(home: Path, pid: int, now: float) -> Path:
    """Make the directory of an incident, and remove the oldest ones, so that KEPT are left.

    Raises:
        CheckError: it cannot be made, or another user made the one that holds them.
    """
    path = home / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}-{pid}"
    remedy = say("make room, or remove {home}", home=home)
    try:
        home.mkdir(mode=0o700, exist_ok=True)
        if home.is_symlink() or home.lstat().st_uid != os.geteuid():
            raise CheckError(Fault(say("{home} is another user's", home=home), remedy, State.UNKNOWN))
        for old in names(home)[: -(KEPT - 1)]:
            shutil.rmtree(home / old)
        path.mkdir(mode=0o700)
    except OSError as error:
        raise CheckError(
            Fault(say("no place for an incident: {error}", error=error), remedy, State.UNKNOWN)
        ) from error
    return path


def names(home: Path) -> list[str]:
    """Return the names of the incidents that are kept, the oldest first.

    Raises:
        OSError: they cannot be listed.
    """
    return sorted(each.name for each in home.iterdir() if NAME.fullmatch(each.name) and not each.is_symlink())


def write(path: Path, name: str, text: str, end: bool = False) -> None:
    """Write a file of an incident, no more than LARGEST of it; `end`: its end counts, not its beginning.

    Raises:
        OSError: it cannot be written.
    """
    raw = text.encode("utf-8", "replace")
    if len(raw) > LARGEST:
        room = LARGEST - len(CUT)
        raw = CUT + raw[-room:] if end else raw[:room] + CUT
    handle = os.open(path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(raw)


def close(incident: Incident) -> None:
    """Write what the doctor tells of an incident; one without it was not finished.

    Raises:
        OSError: it cannot be written.
    """
    told = {
        "time": incident.time,
        "standings": [each._asdict() for each in incident.standings],
        "requests": dict(incident.requests),
        "missing": dict(incident.missing),
    }
    write(incident.path, SUMMARY, json.dumps(told, indent=1))


def latest(watch: Path, now: float) -> Incident | None:
    """Return the latest incident of the last day; None without one, or where it cannot be read."""
    home = watch / DIRECTORY
    try:
        if home.is_symlink():
            return None
        path = home / names(home)[-1]
        given = json.loads(regular_file.content(path / SUMMARY, follow=False, limit=LARGEST))
        found = Incident(
            path,
            float(given["time"]),
            [_standing(each) for each in given["standings"]],
            dict(given["requests"]),
            {str(part): str(why) for part, why in given["missing"].items()},
        )
    except (OSError, IndexError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
    return found if now - found.time < DAY else None


def _standing(given: Mapping[str, Any]) -> Standing:
    who, state, place, why = (str(given[name]) for name in ("who", "state", "place", "why"))
    return Standing(who, int(given["pid"]), state, place, bool(given["loop"]), why)
