"""A restart that is followed: its phases as lines on standard error, and why it failed."""

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from python_checks.core import regular_file
from python_checks.core.result import Line, Result, State, conclude, shorten
from python_checks.core.say import say
from python_checks.service.registry import Row

PAUSE = 0.5  # seconds between two looks
REPEAT = 10.0  # seconds after which an unchanged phase is shown again
VERDICT = re.compile(r"^(?:guard|wait) (?:CRITICAL|UNKNOWN): |^remedy: ")
LINES = 15  # of the log, behind a failure
MOST = 2**20  # bytes of the log that are read


class Screen:
    """Lines on standard error: each new one, and an old one now and then."""

    def __init__(self) -> None:
        """Time runs from now."""
        self.start, self.said, self.said_at = time.monotonic(), "", 0.0

    @property
    def passed(self) -> float:
        """Return the seconds since then."""
        return time.monotonic() - self.start

    def tell(self, words: str) -> None:
        """Show what is new, and wait for the next look."""
        if words != self.said or self.passed - self.said_at > REPEAT:
            self.said, self.said_at = words, self.passed
            print(f"{shorten(words, 300)} ({self.passed:.0f} s)", file=sys.stderr, flush=True)
        time.sleep(PAUSE)


def result(
    name: str,
    row: Row,
    act: Callable[[Callable[[str], None]], bool],
    outcome: Callable[[], str],
    anew: bool,
) -> Result:
    """Follow a start and judge it.

    Args:
        name: Of the step.
        row: The service.
        act: Restarts or follows it, tells its phases to its argument, and returns whether the service answers.
        outcome: Returns in a word how the start ended.
        anew: It begins now; what the log holds already is of an earlier one.
    """
    log, screen = Path(row.log), Screen()
    since = log.stat().st_size if anew and log.exists() else 0
    if act(screen.tell):
        return conclude(
            name, [], say("{name} answers after {seconds:.0f} s", name=row.name, seconds=screen.passed)
        )
    name_there = f"{row.unit}.service" if row.manager == "systemd" else row.unit
    words = say("{name} did not get ready ({outcome}).", name=name_there, outcome=outcome())
    lines = written(log, since)
    verdicts = [line for line in lines if VERDICT.match(line)][-4:]
    others = [line[:200] for line in lines if line not in verdicts]
    # The cause and the remedy come last: that is where a reader's eye is.
    told = [words, say("The end of {log}:", log=log), *others[-LINES:], *dict.fromkeys(verdicts)]
    shown = [Line("", line, State.CRITICAL if line is words else State.OK) for line in told]
    return Result(name, State.CRITICAL, words, say("see {log}", log=log), evidence={"screen": shown})


def written(log: Path, since: int) -> list[str]:
    """Return the lines that a log got since it had a size; all of a shorter one, which was rotated."""
    try:
        with regular_file.opened(log) as file:
            size = log.stat().st_size
            file.seek(max(since if size >= since else 0, size - MOST))
            return file.read(MOST).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
