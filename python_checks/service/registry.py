"""The services of this host: one row each, a file of the release that is activated, so that it changes with what runs."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from python_checks.core import regular_file
from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import say

HOME = "CHECKS_HOME"  # of the environment: host_directory, which bin/checks sets
LARGEST = 2**20  # bytes of a row
DEPLOY = say("deploy: ansible-playbook deploy.yml")


@dataclass(frozen=True)
class Row:
    """What is kept of a service.

    Attributes:
        name: Its name; `kind`: chat, embed (both are vLLM), backend, or whatever its role calls it.
        manager: systemd or supervisor; empty while no release is activated. `unit`: its name there.
        control: supervisorctl with its options, under supervisor.
        url: Where it is asked from this host, empty when it has no address; `health_path`: answers 200 when it is well.
        model: Directory of its model; `log`: file of its output; `releases`: directory of its releases.
        user: Who runs it; `key_file`: holds the key that it asks for.
        asks: The services that it needs.
        wait: The command that ends with 0 once it is healthy; --pid and --log are appended. `ready`: more words for it after a restart.
        probes: The checks that judge it; `options`: what they are told, by the names of their options without dashes.
        watch: Directory with what its canary and its nightly probe keep.
    """

    name: str
    kind: str = ""
    manager: str = ""
    unit: str = ""
    control: Sequence[str] = ()
    url: str = ""
    health_path: str = "/health"
    model: str = ""
    log: str = ""
    releases: str = ""
    user: str = ""
    key_file: str = ""
    asks: Sequence[str] = ()
    wait: Sequence[str] = ()
    ready: Sequence[str] = ()
    probes: Sequence[str] = ()
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    watch: str = ""


def home() -> Path | None:
    """Return the directory that the deploy made, None where none is said: not on a deployed host, or not by bin/checks."""
    value = os.environ.get(HOME, "")
    return Path(value) if value else None


def rows(directory: Path) -> list[Row]:
    """Return the services of a host, those that others ask first.

    Args:
        directory: As `home` returns it.

    Raises:
        CheckError: a row cannot be read.
    """
    found = [_read(path) for path in sorted((directory / "services").glob("*.json"))]
    asked = {name for row in found for name in row.asks}
    return sorted(found, key=lambda row: (bool(row.asks), row.name not in asked, row.name))


def one(name: str) -> Row:
    """Return the row of a service whose release is activated.

    Raises:
        CheckError: there is none.
    """
    directory = home()
    known = rows(directory) if directory else []
    found = next((row for row in known if row.name == name and row.manager), None)
    if found is None:
        others = ", ".join(row.name for row in known if row.manager) or say("none")
        raise CheckError(
            Fault(
                say("no service {name} is deployed here; deployed: {others}", name=name, others=others),
                DEPLOY,
                State.UNKNOWN,
            )
        )
    return found


def siblings(name: str) -> list[Row]:
    """Return the other services of this host; none where the registry cannot be read, which stops no start."""
    directory = home()
    try:
        return [row for row in rows(directory) if row.name != name and row.manager] if directory else []
    except CheckError:
        return []


def _read(path: Path) -> Row:
    """Read a row; a link to a release that is not there means that none is activated."""
    known = {each.name for each in fields(Row)}
    try:
        given: dict[str, Any] = json.loads(regular_file.content(path, limit=LARGEST))
        return Row(**{key: value for key, value in given.items() if key in known})
    except FileNotFoundError:
        return Row(path.stem)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        words = say("{path} does not describe a service ({error})", path=path, error=error)
        raise CheckError(
            Fault(words, say("deploy again: ansible-playbook deploy.yml"), State.UNKNOWN)
        ) from error
