"""The verdicts of past runs of the deep probe: a short list in a JSON file, the newest first."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from python_checks.core import regular_file, whole_file
from python_checks.core.result import Result, State, worst

KEPT = 7  # runs: the nights that the status screen shows
LARGEST = 4 * 2**20  # bytes of the file


class PastRun(NamedTuple):
    """A past run: its end in seconds since the epoch, the verdict, service -> release, and case -> reason of what was not ok."""

    time: float
    state: State
    releases: dict[str, str]
    faults: dict[str, str]


def record(path: Path, results: Sequence[Result], releases: dict[str, str], now: float) -> None:
    """Add a run, and drop the oldest beyond KEPT.

    Raises:
        OSError: the file cannot be written.
        ValueError: it is no history; it is left as it is.
    """
    state = worst([result.state for result in results])
    faults = {result.check: result.reason for result in results if result.state is not State.OK}
    runs = [PastRun(now, state, releases, faults), *recent(path)][:KEPT]
    document = [run._asdict() | {"state": run.state.name.lower()} for run in runs]
    whole_file.write(path, json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    path.with_suffix(".sqlite").unlink(
        missing_ok=True
    )  # the history of hosts that were deployed before 0.1.0


def recent(path: Path) -> list[PastRun]:
    """Return the past runs, the newest first; none when there is no file.

    Raises:
        OSError: the file cannot be read, or is no regular one.
        ValueError: it is no history.
    """
    try:
        document = json.loads(regular_file.content(path, follow=False, limit=LARGEST))
        return [
            PastRun(
                float(run["time"]), State[run["state"].upper()], dict(run["releases"]), dict(run["faults"])
            )
            for run in document
        ]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is no history of runs: {error!r}") from error
