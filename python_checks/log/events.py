"""What went wrong, as a log tells it: exceptions with their chains, crashes, and what other programs say of them.

Python prints a traceback as a heading, indented places and one line that is not indented, the exception; its message may go
on below. What a program that Python called has to say (a compiler, NCCL, the loader) it prints itself, above or below.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from python_checks.log.forms import (
    CALM,
    CHAINED,
    CLEANING,
    CRASHES,
    END,
    EXCEPTION,
    IGNORED,
    LAST,
    PLAIN,
    REASONS,
    SEVERAL,
    TRACEBACK,
)
from python_checks.log.lines import UVICORN, Entry

WARNED = "CUDA initialization: "  # what stands before it is where torch warns of it
DETAILS = 80  # lines of a message that are kept


@dataclass
class Event:
    """Something that went wrong.

    Attributes:
        index: Its place among the lines; `stamp` its time where a line says one, else that of the line before.
        process: Who said it.
        text: Its line, with the line below where that holds the reason; `details` what else its message holds.
        level: ERROR of a logger, empty when it was not logged.
        frames: Places of the traceback above it.
        chain: The same number for exceptions of which one came over the other.
        reason: The family, where it is another program's word, else empty.
        noise: It came over the clearing up after an end.
        survived: Who said it went on with its work.
        raised: It is an exception, or a crash.
    """

    index: int
    stamp: str
    process: str
    text: str
    level: str = ""
    details: list[str] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    chain: int = -1
    reason: str = ""
    noise: bool = False
    survived: bool = False
    raised: bool = False


@dataclass
class _Stream:
    """Where the reader is in the words of one process."""

    frames: list[str] | None = None  # of the traceback that is open
    head: Entry | None = None
    ignored: bool = False  # a heading says so of the next traceback
    chained: bool = False
    last: Event | None = None  # whose message may go on
    where: tuple[str, str] = ("", "")  # level and place of that one
    served: bool = False  # uvicorn's error opened what follows


class Reader:
    """Reads the lines of one start; `events` is what it found, in the order of the lines."""

    def __init__(self) -> None:
        """Begin without any line."""
        self.events: list[Event] = []
        self._streams: dict[str, _Stream] = {}
        self._progress: dict[str, int] = {}
        self._stamp = ""

    def read(self, entries: Iterable[Entry]) -> list[Event]:
        """Take all lines, and return what went wrong."""
        for index, each in enumerate(entries):
            self._stamp = each.stamp or self._stamp
            self._take(index, each)
        for event in self.events:
            event.survived = self._progress.get(event.process, -1) > event.index
        return self.events

    def _take(self, index: int, entry: Entry) -> None:
        stream = self._streams.setdefault("" if entry.process == UVICORN else entry.process, _Stream())
        body = entry.body.rstrip()
        words = body.strip()
        if entry.level in ("INFO", "DEBUG", "WARNING"):
            self._calm(index, entry, stream, words)
        elif TRACEBACK.match(words):
            quoted = (
                stream.last and stream.last.text.endswith(":") and (entry.level, entry.place) == stream.where
            )
            stream.chained = stream.chained or bool(quoted)
            stream.frames, stream.head, stream.last = [], entry, None
        elif CHAINED.match(words):
            stream.chained = True
        elif IGNORED.match(words):
            stream.ignored = True
            stream.last = None
        elif stream.frames is not None and (body.startswith((" ", "\t")) or not words):
            stream.frames.append(words)
        elif stream.frames is not None and LAST.match(words):
            self._exception(index, entry, stream, words)
        elif self._goes_on(entry, stream, body):
            self._detail(index, entry, stream, body)
        elif words:
            self._line(index, entry, stream, words)

    def _calm(self, index: int, entry: Entry, stream: _Stream, words: str) -> None:
        """A line of a process that works; a warning may hold the reason of what comes."""
        if entry.level != "WARNING" and not CALM.search(words):
            self._progress[entry.process] = index
        elif entry.level == "WARNING":
            self._reason(index, entry, words)
        if entry.level != "WARNING":
            stream.last, stream.served, stream.chained = None, False, False

    def _exception(self, index: int, entry: Entry, stream: _Stream, words: str) -> None:
        """The line that ends a traceback."""
        frames = stream.frames or []
        event = self._add(index, entry, words, raised=True)
        event.process = event.process or (UVICORN if stream.served else "")
        event.frames = frames
        event.level = event.level or (stream.head.level if stream.head else "")
        event.noise = stream.ignored or any(CLEANING.search(place) for place in frames[-6:])
        own = (each for each in reversed(self.events[:-1]) if each.raised and each.process == event.process)
        before = next(own, None) if stream.chained else None
        if before:
            event.chain, event.noise = before.chain, event.noise or before.noise
        stream.frames, stream.ignored, stream.chained = None, False, False
        stream.last, stream.where = event, (entry.level, entry.place)

    def _goes_on(self, entry: Entry, stream: _Stream, body: str) -> bool:
        """Tell whether a line belongs to the message of the exception above it."""
        last = stream.last
        if last is None or len(last.details) >= DETAILS or (entry.level, entry.place) != stream.where:
            return False
        if EXCEPTION.match(body.strip()):
            return False
        return bool(entry.level) or not (END.match(body) or CRASHES.search(body) or PLAIN.match(body))

    def _detail(self, index: int, entry: Entry, stream: _Stream, body: str) -> None:
        last, words = stream.last, body.strip()
        if last is not None and words:
            last.details.append(words)
            self._reason(index, entry, body)

    def _line(self, index: int, entry: Entry, stream: _Stream, words: str) -> None:
        """A line outside of any traceback."""
        stream.last = None
        if self._reason(index, entry, entry.body):
            return
        raised = bool(EXCEPTION.match(words) or CRASHES.search(words) or PLAIN.match(words))
        if raised or SEVERAL.search(words) or entry.level in ("ERROR", "CRITICAL"):
            event = self._add(index, entry, words, raised=raised)
            event.noise = stream.ignored and raised
            stream.last, stream.where = event, (entry.level, entry.place)
            stream.served = entry.process == UVICORN
            stream.ignored = False

    def _reason(self, index: int, entry: Entry, words: str) -> bool:
        family = self._is_reason(words)
        if family:
            event = self._add(index, entry, words.strip())
            event.reason, event.text = family, event.text[max(0, event.text.find(WARNED)) :]
        return bool(family)

    @staticmethod
    def _is_reason(words: str) -> str:
        return next((family for family, pattern in REASONS if pattern.search(words)), "")

    def _add(self, index: int, entry: Entry, words: str, raised: bool = False) -> Event:
        stamp = entry.stamp or self._stamp
        event = Event(index, stamp, entry.process, words, entry.level, chain=index, raised=raised)
        self.events.append(event)
        return event
