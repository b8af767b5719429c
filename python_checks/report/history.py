"""The verdicts of past runs of the deep probe, in a bounded SQLite file."""

import json
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from python_checks.core import regular_file
from python_checks.core.result import Result, State, worst

KEPT = 400  # runs: more than a year of nights
LARGEST = 64 * 2**20  # bytes of the file
_WAIT = 10.0  # seconds for another writer
_TABLE = """CREATE TABLE IF NOT EXISTS runs
    (id INTEGER PRIMARY KEY, time REAL NOT NULL, state INTEGER NOT NULL, releases TEXT NOT NULL, faults TEXT NOT NULL)"""


class Run(NamedTuple):
    """A past run: its end in seconds since the epoch, the verdict, service -> release, and case -> reason of what was not ok."""

    time: float
    state: State
    releases: dict[str, str]
    faults: dict[str, str]


def record(path: Path, results: Sequence[Result], releases: dict[str, str], now: float) -> None:
    """Add a run, and drop the oldest beyond KEPT.

    Raises:
        sqlite3.Error: the file cannot be written, or is no such file.
    """
    state = worst([result.state for result in results])
    faults = {result.check: result.reason for result in results if result.state is not State.OK}
    row = (now, int(state), *(json.dumps(each, ensure_ascii=False) for each in (releases, faults)))
    with closing(sqlite3.connect(path, timeout=_WAIT)) as base, base:
        base.execute(_TABLE)
        base.execute("INSERT INTO runs (time, state, releases, faults) VALUES (?, ?, ?, ?)", row)
        base.execute(
            "DELETE FROM runs WHERE id NOT IN (SELECT id FROM runs ORDER BY id DESC LIMIT ?)", (KEPT,)
        )


def recent(path: Path, number: int) -> list[Run]:
    """Return up to `number` runs, the newest first; none when there is no file.

    Raises:
        sqlite3.Error: the file is no such file.
    """
    query = "SELECT time, state, releases, faults FROM runs ORDER BY id DESC LIMIT ?"
    # Read first: SQLite would follow a link and wait for a FIFO, and this may be root in a directory where others write.
    try:
        data = regular_file.content(path, follow=False, limit=LARGEST)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise sqlite3.OperationalError(str(error)) from error
    with tempfile.NamedTemporaryFile() as copy:
        copy.write(data)
        copy.flush()
        with closing(sqlite3.connect(f"file:{copy.name}?mode=ro&immutable=1", uri=True)) as base:
            rows = base.execute(query, (number,)).fetchall()
    return [
        Run(time, State(state), json.loads(releases), json.loads(faults))
        for time, state, releases, faults in rows
    ]
