"""What the canary and the deep probe found last, as lines of a screen, by what their timers keep."""

from collections.abc import Sequence
from pathlib import Path

from python_checks.core.result import Line, State
from python_checks.core.words import ago, count
from python_checks.report import history, verdict
from python_checks.service.registry import Row

CANARY, DEEP, HISTORY = "canary.verdict", "deep.verdict", "history.json"  # files of the directory
SILENT = 300.0  # seconds; a canary that said nothing for so long does not run


def of_rows(rows: Sequence[Row], now: float) -> list[Line]:
    """Return the lines of each service that is watched; of several they say whose they are."""
    watched = [row for row in rows if row.watch]
    found = []
    for row in watched:
        of = f" of {row.name}" if len(watched) > 1 else ""
        own = lines(Path(row.watch), now)
        own = own if "conformance" in row.probes else own[:1]  # of that no nightly probe tries anything
        found += [line._replace(label=line.label + of) for line in own]
    return found


def lines(directory: Path, now: float) -> list[Line]:
    """Return a line for the canary and one for the deep probe; `now` in seconds since the epoch."""
    return [_canary(directory, now), _deep(directory, now)]


def _canary(directory: Path, now: float) -> Line:
    last = verdict.recall(directory / CANARY)
    if last is None:
        return Line("canary", "has said nothing yet: see its timer", State.WARNING)
    when = ago(last.time, now)
    if now - last.time > SILENT:
        return Line("canary", f"silent, it last looked {when}: see its timer", State.WARNING)
    return Line("canary", f"{last.worst.reason}, {when}", last.state)


def _deep(directory: Path, now: float) -> Line:
    try:
        runs = history.recent(directory / HISTORY)
    except (OSError, ValueError) as error:
        return Line("nightly", f"its history cannot be read: {error}", State.UNKNOWN)
    last = verdict.recall(directory / DEEP)
    if last is None:
        if not runs:
            return Line("nightly", "has not run yet")
        return Line(
            "nightly",
            f"no verdict: the last run was cut off, the one before ended {ago(runs[0].time, now)}",
            State.WARNING,
        )
    bad = [result for result in last.results if result.state is not State.OK]
    words = f"{last.state.name.lower()} {ago(last.time, now)}, {count(len(last.results), 'case')}"
    if bad:
        words += f"; {last.worst.check}: {last.worst.reason}" + (
            f", and {len(bad) - 1} more" if bad[1:] else ""
        )
    if runs[1:]:
        words += f"; nights before: {' '.join(run.state.name.lower() for run in runs[1:])}"
    # A limit that is known stays one until vLLM changes: the screen need not warn of it every day.
    return Line("nightly", words, State.OK if last.state is State.WARNING else last.state)
