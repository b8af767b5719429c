"""What the gateway wrote down of each request, added up by day, key and model, in a bounded SQLite file."""

import datetime
import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from python_checks.core import regular_file

KEPT = 400  # days
OLDER = "older"  # the day of what was before: totals never fall
LARGEST = 2**30  # bytes of the lines of one day
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_WAIT = 10.0  # seconds for another writer
_TABLE = """CREATE TABLE IF NOT EXISTS used
    (day TEXT NOT NULL, key TEXT NOT NULL, service TEXT NOT NULL, model TEXT NOT NULL, requests INTEGER NOT NULL, errors INTEGER NOT NULL,
     cut INTEGER NOT NULL, prompt INTEGER NOT NULL, completion INTEGER NOT NULL, reasoning INTEGER NOT NULL, milliseconds INTEGER NOT NULL,
     PRIMARY KEY (day, key, service, model))"""
_SUMS = (
    "SUM(requests), SUM(errors), SUM(cut), SUM(prompt), SUM(completion), SUM(reasoning), SUM(milliseconds)"
)


class Who(NamedTuple):
    """Of whom a sum is."""

    key: str
    service: str
    model: str


class Sum(NamedTuple):
    """What they used; reasoning is a part of the completion, errors and cut replies are a part of the requests."""

    requests: int = 0
    errors: int = 0
    cut: int = 0
    prompt: int = 0
    completion: int = 0
    reasoning: int = 0
    milliseconds: int = 0

    def plus(self, other: "Sum") -> "Sum":
        """Return both together."""
        return Sum(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def entry(line: str) -> tuple[Who, Sum] | None:
    """Read a line of the books; None for one that is not whole, as after a power failure."""
    try:
        data = json.loads(line)
        who = Who(*(str(data[name]) for name in Who._fields))
        status, counts = (
            int(data["status"]),
            [int(data[name]) for name in ("prompt", "completion", "reasoning", "ms")],
        )
        cut = status < 400 and data["whole"] is not True
    except (ValueError, KeyError, TypeError):
        return None
    return who, Sum(1, int(status >= 400), int(cut), *counts)


def add_up(lines: Iterable[str]) -> dict[Who, Sum]:
    """Return the sums of a day."""
    sums: defaultdict[Who, Sum] = defaultdict(Sum)
    for each in map(entry, lines):
        if each:
            sums[each[0]] = sums[each[0]].plus(each[1])
    return dict(sums)


def days(directory: Path) -> Iterator[tuple[str, dict[Who, Sum]]]:
    """Yield the days that the gateway still keeps, and their sums.

    Raises:
        OSError: a file cannot be read.
    """
    for file in sorted(directory.glob("*.jsonl")):
        if DAY.fullmatch(file.stem):
            text = regular_file.content(file, follow=False, limit=LARGEST)
            yield file.stem, add_up(text.decode("utf-8", "replace").splitlines())


def record(base: Path, found: Iterable[tuple[str, Mapping[Who, Sum]]], today: datetime.date) -> None:
    """Replace the days that were found, as their files are whole; what is older than KEPT days becomes one sum.

    Raises:
        sqlite3.Error: the file cannot be written, or is no such file.
    """
    first = (today - datetime.timedelta(days=KEPT)).isoformat()
    with closing(sqlite3.connect(base, timeout=_WAIT)) as store, store:
        store.execute(_TABLE)
        for day, sums in found:
            if day <= first:
                continue
            store.execute("DELETE FROM used WHERE day = ?", (day,))
            rows = [(day, *who, *used) for who, used in sums.items()]
            store.executemany("INSERT INTO used VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        old = store.execute(
            f"SELECT key, service, model, {_SUMS} FROM used WHERE day <= ? OR day = ? GROUP BY key, service, model",
            (first, OLDER),
        ).fetchall()
        store.execute("DELETE FROM used WHERE day <= ? OR day = ?", (first, OLDER))
        store.executemany(
            "INSERT INTO used VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [(OLDER, *row) for row in old]
        )


def read(base: Path, days_like: str) -> dict[Who, Sum]:
    """Return the sums over the days that match a pattern of SQL's LIKE, `2026-11-%` or `%` for all.

    Raises:
        sqlite3.Error: there is no such file.
    """
    query = f"SELECT key, service, model, {_SUMS} FROM used WHERE day LIKE ? GROUP BY key, service, model ORDER BY key, service, model"
    with closing(sqlite3.connect(f"file:{base}?mode=ro", uri=True, timeout=_WAIT)) as store:
        rows: list[Any] = store.execute(query, (days_like,)).fetchall()
    return {Who(*row[:3]): Sum(*row[3:]) for row in rows}
