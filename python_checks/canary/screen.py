"""What the canary and the deep probe found last, as lines of a screen, by what their timers keep."""

from collections.abc import Sequence
from pathlib import Path

from python_checks.core.result import Line, State
from python_checks.core.say import count, joined, msg, say
from python_checks.core.words import ago
from python_checks.report import history, verdict
from python_checks.service.registry import Row

CANARY, DEEP, HISTORY = "canary.verdict", "deep.verdict", "history.json"  # files of the directory
SILENT = 300.0  # seconds; a canary that said nothing for so long does not run


def of_rows(rows: Sequence[Row], now: float) -> list[Line]:
    """Return the lines of each service that is watched; of several they say whose they are."""
    watched = [row for row in rows if row.watch]
    found = []
    for row in watched:
        own = lines(Path(row.watch), now)
        own = own if "conformance" in row.probes else own[:1]  # of that no nightly probe tries anything
        if len(watched) > 1:
            own = [
                line._replace(label=say("{label} of {name}", label=line.label, name=row.name)) for line in own
            ]
        found += own
    return found


def lines(directory: Path, now: float) -> list[Line]:
    """Return a line for the canary and one for the deep probe; `now` in seconds since the epoch."""
    return [_canary(directory, now), _deep(directory, now)]


def _canary(directory: Path, now: float) -> Line:
    last = verdict.recall(directory / CANARY)
    if last is None:
        return Line(say("canary"), say("has said nothing yet: see its timer"), State.WARNING)
    when = ago(last.time, now)
    if now - last.time > SILENT:
        return Line(
            say("canary"), say("silent, it last looked {when}: see its timer", when=when), State.WARNING
        )
    return Line(say("canary"), say("{reason}, {when}", reason=last.worst.reason, when=when), last.state)


def _deep(directory: Path, now: float) -> Line:
    try:
        runs = history.recent(directory / HISTORY)
    except (OSError, ValueError) as error:
        return Line(say("nightly"), say("its history cannot be read: {error}", error=error), State.UNKNOWN)
    last = verdict.recall(directory / DEEP)
    if last is None:
        if not runs:
            return Line(say("nightly"), say("has not run yet"))
        return Line(
            say("nightly"),
            say(
                "no verdict: the last run was cut off, the one before ended {when}",
                when=ago(runs[0].time, now),
            ),
            State.WARNING,
        )
    bad = [result for result in last.results if result.state is not State.OK]
    words = say(
        "{state} {when}, {cases}",
        state=last.state.word,
        when=ago(last.time, now),
        cases=count(len(last.results), "{number} case", "{number} cases", none=msg("no case")),
    )
    if bad:
        words += say("; {check}: {reason}", check=last.worst.check, reason=last.worst.reason) + (
            say(", and {number} more", number=len(bad) - 1) if bad[1:] else ""
        )
    if runs[1:]:
        words += say("; nights before: {states}", states=joined(" ", (run.state.word for run in runs[1:])))
    # A limit that is known stays one until vLLM changes: the screen need not warn of it every day.
    return Line(say("nightly"), words, State.OK if last.state is State.WARNING else last.state)
