"""Which reader asks a service's manager."""

import importlib
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, cast

from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import say
from python_checks.service.facts import Service
from python_checks.service.registry import DEPLOY, Row
from python_checks.service.unit import Unit

NAMES = ("systemd", "supervisor")


class Reader(Protocol):
    """What the modules that are called like managers have in common."""

    def ask(self, row: Row) -> Unit:
        """Return how a service is."""

    def heal(self, row: Row) -> None:
        """Begin a restart, and do not wait for its end."""

    def restart(self, row: Row, tell: Callable[[str], None]) -> bool:
        """Restart a service and tell whether it answers."""

    def follow(self, row: Row, tell: Callable[[str], None]) -> bool:
        """Follow a start under way and tell whether the service answers."""

    def outcome(self, row: Row) -> str:
        """Return in a word how the last start ended."""

    def services(self, rows: Sequence[Row]) -> dict[str, Service]:
        """Return name -> what is known about a service."""


def reader(name: str) -> Reader:
    """Return the reader of a manager; only that one is loaded.

    Raises:
        CheckError: there is none.
    """
    if name not in NAMES:
        raise CheckError(Fault(say("no manager is called {name!r}", name=name), DEPLOY, State.UNKNOWN))
    return cast("Reader", importlib.import_module(f"python_checks.service.{name}"))


def services(rows: Iterable[Row]) -> dict[str, Service]:
    """Return name -> what the manager of each service knows; absent where no release is activated.

    Raises:
        CheckError: a manager cannot be asked.
    """
    listed = list(rows)
    found = {row.name: Service(row.name, row.kind) for row in listed}
    for name in dict.fromkeys(row.manager for row in listed if row.manager):
        found |= reader(name).services([row for row in listed if row.manager == name])
    return found
