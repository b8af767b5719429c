"""The end of a service's log: its last line, where a start is, and why a process ended."""

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from python_checks.core import regular_file
from python_checks.core.result import shorten
from python_checks.host import processes
from python_checks.log import causes, phases
from python_checks.log.lines import clean
from python_checks.log.tail import LogTail
from python_checks.service import remedies
from python_checks.service.facts import Service

SIZE = 256 * 2**10  # bytes of the end that are looked through
FALLBACK = 50  # lines, where no line names a process
# What the checks around a start wrote there; they looked closer than anybody can afterwards.
_VERDICT = re.compile(r"^(?:guard|wait) (?:CRITICAL|UNKNOWN): (.*?)(?: \| time=[\d.]+s)?$")
# What a library says at every end of vLLM on a CPU.
_NOISE = re.compile(r"nanobind: | - (?:leaked|\.\.\.) |See https://nanobind")
_ENDED = re.compile(r"process \d+ ended ")
_REMEDY = re.compile(r"^remedy: (.*)$")
# A bar of tqdm: how many of all, the time so far, the time that it expects to take.
_BAR = re.compile(r"[Ll]oading [^|]*\| *(\d+)/(\d+) \[([\d:]+)<([\d:?]+)")
_NUMBER = re.compile(r"\b0x[0-9a-f]+\b|\d+")  # ids, ports, times: these differ where the cause does not


@dataclass(frozen=True)
class Bar:
    """How far the weights are loaded: `done` of `total` shards, the time so far and the time left as the log has them."""

    done: int
    total: int
    passed: str
    left: str


@dataclass(frozen=True)
class LastWords:
    """A phase of a start, why it ended, the remedy, the last line.

    `text`: the lines of that cause, which a remedy is looked for in, empty where it is a verdict of a check with its own;
    `followed`: what came of it;
    `before`: why the process before this one ended; `alike`: how many starts in a row, the last one included, ended
    with the same cause; `bar`: of the weights while they are loaded; `written`: when the log was last written to, in
    seconds since the epoch.
    """

    phase: str = ""
    cause: str = ""
    remedy: str = ""
    last: str = ""
    text: str = ""
    followed: str = ""
    before: str = ""
    alike: int = 0
    bar: Bar | None = None
    written: float = 0.0


def read(service: Service) -> LastWords:
    """Read the log of a service; of vLLM that of the process that runs, or else of the last one."""
    if not service.log:
        return LastWords()
    end = _end(Path(service.log))
    pid = service.pid or next(
        (int(found) for line in reversed(end) for found in causes.SERVER.findall(line)), 0
    )
    opened = [place for place, line in enumerate(end) if causes.GUARD.match(line)][-1:]
    lines, before = end[-FALLBACK:], ""
    if service.engine and pid:
        started = processes.started_at(service.pid) if service.pid else None
        tail = LogTail(Path(service.log), pid, started)
        lines = list(tail.lines) if tail.found else ([] if service.pid else lines)
        first = next((place for place, line in enumerate(end) if f" pid={pid}) " in line), len(end))
        before = shorten(causes.cause(end[:first]), 300)
    if opened and not service.pid:  # the guard opens a start, and may have refused the last one
        lines = end[opened[0] :]
    last = next((line for line in reversed(lines or end) if line.strip() and not _NOISE.match(line)), "")
    with contextlib.suppress(OSError):
        written = Path(service.log).stat().st_mtime
        return replace(judge(lines, last), before=before, alike=alike(end), written=written)
    return LastWords()


def judge(lines: list[str], last: str) -> LastWords:
    """Take the phase, the cause and its remedy from lines."""
    lines = [clean(line) for line in lines]
    phase = next((opened for line in reversed(lines) if (opened := phases.phase(line))), "")
    found = causes.find(lines)
    words, text = found.words, found.text
    remedy = remedies.remedy(text) if text else ""
    for line, following in zip(lines, [*lines[1:], ""], strict=False):
        verdict = _VERDICT.match(line)
        # What the waiter says of an end it has from the same lines.
        if verdict and not (text and _ENDED.match(verdict[1])):
            advice = _REMEDY.match(following)
            words, text = verdict[1], ""
            remedy = advice[1] if advice else remedies.remedy(words)
    bars = [match for line in lines if (match := _BAR.search(line))] if phase.startswith("loading") else []
    bar = Bar(int(bars[-1][1]), int(bars[-1][2]), bars[-1][3], bars[-1][4]) if bars else None
    return LastWords(
        phase,
        shorten(words, 300),
        shorten(remedy, 500),
        shorten(clean(last), 300),
        text,
        found.followed if text else "",
        bar=bar,
    )


def alike(lines: Sequence[str]) -> int:
    """Return how many starts at the end of a log have the last one's cause; numbers in it do not count."""
    found = [_NUMBER.sub("#", judge(start, "").cause) for start in causes.starts(lines)]
    while found and not found[-1]:  # a start that is under way
        found.pop()
    return next((number for number, cause in enumerate(reversed(found)) if cause != found[-1]), len(found))


def _end(path: Path) -> list[str]:
    """Return the last lines of a file; a progress bar's carriage return ends a line, too."""
    with contextlib.suppress(OSError), regular_file.opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - SIZE))
        text = file.read().decode("utf-8", "replace")
        return [clean(line) for line in re.split(r"[\r\n]+", text) if line]
    return []
