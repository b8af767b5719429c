"""A line of a log taken apart: who wrote it, how grave it is, when, and its words; colours and control characters are gone."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

# Sequences of a terminal (ECMA-48), also where something on the way made the escape character visible or took it away.
_ESCAPE = re.compile(
    r"(?:\x1b|\^\[|#033|\\x1b|\\033|\\u001b)\[[0-?]*[ -/]*[@-~]|\[(?:[01]|[349]\d|\d{1,3}(?:;\d{1,3})+)m|\x9b[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]?",
    re.IGNORECASE,
)
# What a collector of logs puts in front of each line: the journal, docker compose, Kubernetes.
_COLLECTOR = re.compile(
    r"^(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ [^\s\[\]]+\[\d+\]: |[a-zA-Z][\w.-]* *\| "
    r"|\d{4}-\d\d-\d\d[T ](?P<time>\d\d:\d\d:\d\d)[\d.,]*(?:Z|[+-]\d\d:?\d\d)? (?:std(?:out|err) [FP] )?(?=[\[({A-Z ]))"
)
# vLLM's and Ray's: `(EngineCore pid=6) `; two processes that share a pipe leave two of them.
_NAME = re.compile(r"^\((?P<name>[A-Za-z][^()]{0,60}?),? pid=(?P<pid>\d+)(?:, ip=[^()]*)?\) ?")
_RANK = re.compile(r"^\[(?P<name>rank\d+)\]: ?")
_WORDS = "DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL"
_LEVELS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^(?P<level>{_WORDS}) +(?P<day>\d\d-\d\d) (?P<time>\d\d:\d\d:\d\d)[.,\d]* (?P<place>\[[^\]]*\]|\S+\]) ?",
        rf"^(?:\d{{4}}-)?(?P<day>\d\d-\d\d)[ T](?P<time>\d\d:\d\d:\d\d)[.,]?\d*Z? *(?:[-|] )*(?:[\w.]+ - )?(?P<level>{_WORDS})\b[ :|-]*",
        rf"^(?P<level>{_WORDS}): +",
        rf"^(?P<level>{_WORDS}):(?P<place>[\w.]+):",
        r"^\[?(?P<level>[IWEF])(?P<day>\d{4}) (?P<time>\d\d:\d\d:\d\d)[.\d]* +(?:\d+ )?(?P<place>[\w./-]+:\d+)\] ?",
        r"^\[(?P<level>[IWEF]) (?P<place>[\w./-]+:\d+)\] ?",
    )
)
_SHORT = {"I": "INFO", "W": "WARNING", "E": "ERROR", "F": "CRITICAL", "WARN": "WARNING", "FATAL": "CRITICAL"}
LONGEST = 4096  # characters of a line that are looked at
UVICORN = "uvicorn"  # whose lines have a level and neither name nor time


@dataclass(frozen=True)
class Entry:
    """One line.

    Attributes:
        process: Name and id of who wrote it, `uvicorn`, or empty.
        level: DEBUG, INFO, WARNING, ERROR, CRITICAL, or empty.
        place: Where in the source it was written, as the log has it.
        stamp: Month, day and time, in an order; empty when the line has none.
        body: The words behind all that.
    """

    process: str
    level: str
    place: str
    stamp: str
    body: str


def clean(line: str) -> str:
    """Return a line without sequences of a terminal and other characters that are not printed; tabs stay, and a long line is cut."""
    line = _ESCAPE.sub("", line[:LONGEST])
    return (
        line if line.isprintable() else "".join(char for char in line if char.isprintable() or char == "\t")
    )


def entries(lines: Iterable[str]) -> Iterator[Entry]:
    """Take lines apart; one that is a JSON object gives its message, and its traceback a line each."""
    for line in lines:
        text = clean(line)
        found = _of_json(text) if text.startswith("{") else None
        yield from found or [entry(text)]


def entry(text: str) -> Entry:
    """Take one clean line apart."""
    text, process, stamp = text.rstrip(), "", ""
    collected = _COLLECTOR.match(text)
    if collected and not any(level.match(text) for level in _LEVELS):
        text = text[collected.end() :]
    while name := _NAME.match(text) or _RANK.match(text):
        process = process if name.re is _RANK and process else " ".join(name.groupdict().values())
        text = text[name.end() :]
    for pattern in _LEVELS:
        if found := pattern.match(text):
            parts = found.groupdict()
            day = parts.get("day") or ""
            day = f"{day[:2]}-{day[2:]}" if day.isdecimal() else day
            stamp = f"{day} {parts['time']}" if day else ""
            level = _SHORT.get(found["level"], found["level"])
            place = parts.get("place") or ""
            named = process or ("" if day or place else UVICORN)
            return Entry(named, level, place, stamp, text[found.end() :])
    return Entry(process, "", "", stamp, text)


def _of_json(text: str) -> list[Entry]:
    """Return the lines in a JSON object of a logger; nothing when it is something else."""
    try:
        told: Any = json.loads(text)
    except (ValueError, RecursionError):
        return []
    message = told.get("message", told.get("msg")) if isinstance(told, dict) else None
    if not isinstance(message, str):
        return []
    level = str(told.get("level", told.get("levelname", told.get("severity", "")))).upper()
    when = re.search(r"(\d\d-\d\d)[T ](\d\d:\d\d:\d\d)", str(told.get("time", told.get("asctime", ""))))
    stamp = f"{when[1]} {when[2]}" if when else ""
    name, place = str(told.get("processName", told.get("logger", ""))), str(told.get("name", "json"))
    kind, trace = told.get("exception"), told.get("exc_info", told.get("stack_trace", ""))
    more = trace if isinstance(trace, str) else ""
    if isinstance(kind, str):  # the class alone, or all of the traceback
        more = kind if "\n" in kind else f"{kind}: {message}"
    lines = [line for part in (message, more) for line in part.split("\n") if line.strip()]
    return [Entry(name, _SHORT.get(level, level), place, stamp, clean(line)) for line in lines]
