"""Files by which a person or a deploy says: hands off."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from python_checks.core import regular_file
from python_checks.core.result import shorten
from python_checks.core.say import say
from python_checks.core.words import ago, span, stamp
from python_checks.host import processes

AGAIN = say("deploy again, which proves it or goes back; or go back: ansible/rollback.yml")
TAKE_OVER = say("deploy again: that takes over what was left")
LEASE = 180.0  # seconds without a sign of life after which the run of a deploy is gone; as in the module deploy_lock

LARGEST = 2**16  # bytes of such a file


def maintenance(path: Path) -> str:
    """Return who put a service into maintenance, when and why; empty when nobody did.

    Raises:
        OSError: whether the file is there cannot be told.
    """
    if not _there(path):
        return ""
    now = time.time()
    try:
        given = json.loads(regular_file.content(path, follow=False, limit=LARGEST))
        since = float(given["since"])
        when = say("since {time} ({age})", time=stamp(since, now), age=span(now - since))
        return say(
            "in maintenance {when}, by {by}: {reason}",
            when=when,
            by=shorten(str(given["by"])),
            reason=shorten(str(given["reason"])),
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return say("in maintenance; {path} does not tell who, when and why", path=path)


class Deploy(NamedTuple):
    """A deploy lock: who holds it, in words, and whether its run must be gone."""

    who: str = ""
    gone: bool = False


def deploy(path: Path) -> Deploy:
    """Return who holds the deploy lock of the host; nobody without one.

    Raises:
        OSError: whether the file is there cannot be told.
    """
    if not _there(path):
        return Deploy()
    now, sign, said = time.time(), path.lstat().st_mtime, _read(path)
    try:
        who = shorten(f"{said['user']}@{said['host']}")
        since = float(said.get("since", sign))
    except (KeyError, TypeError, ValueError):
        who, since = "somebody", sign
    silent = abs(now - sign)  # one from the future, too, for a clock that was wrong
    gone = say("no sign of life for {age}", age=span(silent)) if silent > LEASE else ""
    if said.get("here") and life() and said["here"] != life():
        gone = say("this host was booted since")
    if gone:
        return Deploy(
            say(
                "{who} began it {when}, {gone} ({path})", who=who, when=ago(since, now), gone=gone, path=path
            ),
            gone=True,
        )
    return Deploy(say("{who} deploys, for {age} ({path})", who=who, age=span(now - since), path=path))


def unproven(releases: Path) -> dict[str, str]:
    """Return what there is to say of each service whose activated release no probe has proven since it was activated.

    Args:
        releases: Directory with SERVICE/current, SERVICE/trial and SERVICE/RELEASE/.good, as the module `release` keeps them.
    """
    said: dict[str, str] = {}
    for link in sorted(releases.glob("*/current")):
        trial = _read(link.with_name("trial"))
        current = os.readlink(link) if link.is_symlink() else ""
        tried = trial.get("release") == current
        if current and (tried or not (link / ".good").exists()):
            since = trial.get("since") if tried else None
            when = (
                say(", activated {when},", when=ago(since, time.time()))
                if isinstance(since, (int, float))
                else ""
            )
            said[link.parent.name] = say(
                "{current}{when} was not proven by any probe since", current=current, when=when
            )
    return said


class Traces(NamedTuple):
    """What deploys left on a host.

    Attributes:
        deploy: Who holds the deploy lock.
        unproven: By service: what there is to say of an activated release that no probe has proven since.
        left: By service: releases that a rollback left, or that were taken back, and were not proven since.
    """

    deploy: Deploy = Deploy()
    unproven: Mapping[str, str] = MappingProxyType({})
    left: Mapping[str, Sequence[str]] = MappingProxyType({})

    @property
    def deployed(self) -> bool:
        """Tell whether a deploy works on the host."""
        return bool(self.deploy.who) and not self.deploy.gone

    @property
    def loose_ends(self) -> Sequence[tuple[str, str]]:
        """Return what a deploy that was cut off left, each with its remedy; nothing while another one works."""
        if self.deployed:
            return []
        ends = (
            [(say("left over from a deploy: {who}", who=self.deploy.who), TAKE_OVER)]
            if self.deploy.gone
            else []
        )
        return ends + [
            (say("release of {name} {words}", name=name, words=words), AGAIN)
            for name, words in self.unproven.items()
        ]


def traces(home: Path) -> Traces:
    """Return what deploys left below the host directory.

    Raises:
        OSError: it cannot be told.
    """
    releases = home / "releases"
    left = {
        path.name: sorted(mark.parent.name for mark in path.glob("*/.left")) for path in releases.glob("*")
    }
    return Traces(deploy(home / "deploy.lock"), unproven(releases), left)


def life() -> str:
    """Return what is another after each boot of this host, a container's too; empty where that is hidden.

    A container's id of the boot is a mount, and a unit that may not write to /proc/sys sees the one below it: systemd tells the unit.
    """
    first = processes.stat(1)
    try:
        boot = os.environ.get("BOOT_ID") or Path("/proc/sys/kernel/random/boot_id").read_text(
            encoding="utf-8"
        )
    except OSError:
        return ""
    return f"{boot.strip().replace('-', '')}/{first.started}" if first else ""


def _read(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(regular_file.content(path, follow=False, limit=LARGEST))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True
