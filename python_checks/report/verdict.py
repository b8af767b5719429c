"""The last verdict of all probes, kept in a file: when, of which releases, and what each said."""

import json
import os
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from python_checks.core import regular_file, whole_file
from python_checks.core.result import SEVERITY, Result, State, worst
from python_checks.core.say import say
from python_checks.report import history

LARGEST = 4 * 2**20  # bytes of a verdict


@dataclass(frozen=True)
class Verdict:
    """What a run of all probes found; `time` is in seconds since the epoch, `releases` what was activated then."""

    time: float
    state: State
    releases: dict[str, str]
    results: list[Result]

    @property
    def worst(self) -> Result:
        """Return the first of the worst results."""
        return max(self.results, key=lambda result: SEVERITY.index(result.state))


def forget(path: Path) -> None:
    """Remove a verdict, so that a run that is cut off leaves none behind."""
    path.unlink(missing_ok=True)


def remember(path: Path, results: Sequence[Result], releases: dict[str, str]) -> None:
    """Write a verdict in one step."""
    document = {
        "time": time.time(),
        "state": worst([result.state for result in results]).name.lower(),
        "releases": releases,
        "results": [{**result.as_dict(), "evidence": {}} for result in results],
    }
    whole_file.write(path, json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def keep(options: Namespace, results: list[Result]) -> list[Result]:
    """Keep the results where --remember and --history say; what cannot be kept is one more result, never a lost verdict."""
    releases = activated(options.releases) if options.releases else {}
    try:
        if options.history:
            history.record(options.history, results, releases, time.time())
        if options.remember:
            remember(options.remember, results, releases)
    except (OSError, ValueError) as error:
        remedy = say("make room on its disk; a history that cannot be read is begun anew once it is removed")
        return [
            *results,
            Result("keep", State.UNKNOWN, say("the verdict is not kept: {error}", error=error), remedy),
        ]
    return results


def recall(path: Path) -> Verdict | None:
    """Return the last verdict; None when there is none that can be read."""
    try:
        document: dict[str, Any] = json.loads(regular_file.content(path, follow=False, limit=LARGEST))
        results = [Result.of_dict(each) for each in document["results"]]
        state = State[document["state"].upper()]
        return (
            Verdict(float(document["time"]), state, dict(document["releases"]), results) if results else None
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def activated(directory: Path) -> dict[str, str]:
    """Return service -> activated release of a directory with SERVICE/current links."""
    links = [path / "current" for path in sorted(directory.glob("*"))]
    return {link.parent.name: os.readlink(link) for link in links if link.is_symlink()}
