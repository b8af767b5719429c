"""Keep what explains why a service hangs, before it is restarted: stacks, requests, GPUs, kernel, the end of the log; no prompt."""

import argparse
from pathlib import Path

from python_checks.core import notify
from python_checks.core.result import Result, State
from python_checks.core.say import joined, say
from python_checks.incident import kept, stands, taken
from python_checks.service import managers, registry

NEEDS: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this step."""
    parser.add_argument("name", metavar="NAME", help="a service of this host")


def run(options: argparse.Namespace) -> Result:
    """Keep it, below the directory of what watches the service."""
    row = registry.one(options.name)
    unit = managers.reader(row.manager).ask(row)
    if not unit.pid or not row.watch:
        words = say("{name} does not run, or nothing watches it: {words}", name=row.name, words=unit.words)
        return Result("incident", State.WARNING, words)
    found = taken.take(row, unit.pid, Path(row.watch) / kept.DIRECTORY)
    words = joined("; ", stands.explain(found.standings))
    notify.status(words)
    evidence = {"path": str(found.path), "missing": dict(found.missing)}
    return Result(
        "incident", State.OK, say("{path}: {words}", path=found.path, words=words), evidence=evidence
    )
