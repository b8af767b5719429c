"""Which services a check is about, and what their rows have to tell it."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from python_checks.api import keys
from python_checks.core.options import Parser, ServiceParser
from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import joined, say
from python_checks.service import registry
from python_checks.service.registry import Row

# What a check is about: the first of these that it has.
ADDRESSES = (
    ("--url",),
    ("--backend-url",),
    ("--directory", "--model-directory"),
    ("--gateway-url",),
    ("--books",),
)
# What is asked of each service that it fits; `all`, `status` and `doctor` look at several by themselves.
OF_ONE = {
    *("health", "models", "completion", "embedding", "tool-call", "chat", "model-files", "latency"),
    *("conformance", "canary", "idle", "gateway", "usage"),
}
BY_HAND = say("{deploy}; or say which server: --url URL", deploy=registry.DEPLOY)


def addressed(module: ModuleType, words: Sequence[str]) -> bool:
    """Tell whether a person typed what a check is about."""
    options = known(module).known
    names = next((names for names in ADDRESSES if options & set(names)), ())
    return any(word.partition("=")[0] in names for word in words)


def wanted(options: argparse.Namespace, module: ModuleType, words: Sequence[str]) -> bool:
    """Tell whether a check is about services of this host: one is named, or no address is typed where there are services."""
    if options.service or vars(module).get("OF_A_SERVICE"):
        return True
    return registry.home() is not None and not addressed(module, words)


def known(module: ModuleType) -> ServiceParser:
    """Return a parser that knows the options of a check."""
    parser = ServiceParser(prog=module.__name__)
    module.add_arguments(parser)
    return parser


def deployed() -> tuple[list[Row], Path]:
    """Return the services of this host, and the directory of the deploy.

    Raises:
        CheckError: no service is deployed here.
    """
    home = registry.home()
    found = registry.rows(home) if home else []
    if not found or not home:
        where = (
            say("{directory} holds none", directory=home / "services")
            if home
            else say("{variable} is not set", variable=registry.HOME)
        )
        raise CheckError(
            Fault(say("no service is deployed on this host: {where}", where=where), BY_HAND, State.UNKNOWN)
        )
    return found, home


def rows(check: str, service: str = "") -> list[Row]:
    """Return the services that a check fits, those whose release is activated.

    Args:
        check: Its name; empty fits every service.
        service: The one that is asked for; empty: all of them.

    Raises:
        CheckError: there is none.
    """
    found = [registry.one(service)] if service else [row for row in deployed()[0] if row.manager]
    fitting = [row for row in found if not check or check in row.probes]
    if not fitting:
        words = say(
            "{check} fits no service of this host: {offers}",
            check=check or say("no check"),
            offers=joined("; ", map(_offer, found)) or say("no release is activated"),
        )
        raise CheckError(Fault(words, BY_HAND, State.UNKNOWN))
    return fitting


def words(row: Row, parser: Parser, with_key: bool = True) -> list[str]:
    """Return the options that a service has for a check, as on its command line; others that ask the service add theirs.

    Args:
        row: The service.
        parser: Of the check; what it does not know is left out.
        with_key: False where a person typed the address: a key goes to its own server only.

    Raises:
        CheckError: the services cannot be read.
    """
    home = registry.home()
    asking = [other for other in registry.rows(home) if row.name in other.asks] if home else []
    told: dict[str, str] = {}
    for other in asking:
        told |= other.options
    own = {
        "url": row.url,
        "model-directory": row.model,
        "api-key-file": row.key_file if with_key else "",
    }
    told |= {name: value for name, value in own.items() if value} | dict(row.options)
    return [f"--{name}={value}" for name, value in told.items() if f"--{name}" in parser.known]


def options(row: Row, module: ModuleType, typed: Mapping[str, Any]) -> argparse.Namespace:
    """Return the options of a check with what a service has for it; its requests carry the service's key.

    Args:
        row: The service.
        module: The check.
        typed: What was typed, None where it was not; it wins.

    Raises:
        CheckError: the check refuses one of them.
    """
    parser = known(module)
    parsed = parser.parse_args(words(row, parser))
    for name, value in typed.items():
        if value is not None and name in vars(parsed):
            setattr(parsed, name, value)
    if vars(parsed).get("url"):
        keys.use(parsed.url, parsed.api_key_file)
    return parsed


def _offer(row: Row) -> str:
    return say("{name} has {probes}", name=row.name, probes=", ".join(row.probes) or say("none"))
