"""One streamed reply: its server-sent events and when each came, read under a hard deadline."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from python_checks.api import json_text
from python_checks.api.http import Pending, Reply, stream_of, whole
from python_checks.api.http_errors import odd
from python_checks.core.result import CheckError, Fault, shorten
from python_checks.core.say import count, msg, say

if TYPE_CHECKING:
    import requests

DONE = "[DONE]"  # the text of the event that ends a stream of chat completions
TOGETHER = 0.001  # seconds; a model takes longer for a token, a client less for an event of a buffer
LONGEST = 2**20  # bytes of a line
MOST = 10_000  # events; a token is one, and no probe asks for so many


class ServerEvent(NamedTuple):
    """One event of a stream.

    Attributes:
        at: `time.monotonic()` of its arrival.
        name: Of its `event:` line; empty without one.
        text: Its data as sent.
        data: The same parsed; empty where it is no JSON object.
        fault: Why it is none, or why the stream ends here before its end.
    """

    at: float
    name: str
    text: str
    data: dict[str, Any]
    fault: Fault | None = None


@dataclass(frozen=True)
class Streamed(Reply):
    """A reply to a request for a stream; `data` and `text` hold it where it is no stream, as an error is.

    Attributes:
        start: `time.monotonic()` when the request was sent.
        events: In the order of arrival, `[DONE]` and a fault at the end included.
    """

    start: float
    events: tuple[ServerEvent, ...]

    @property
    def done(self) -> bool:
        """Tell whether `[DONE]` came."""
        return any(event.text == DONE for event in self.events)

    @property
    def reads(self) -> int:
        """Return how many reads brought the events."""
        return reads([event.at for event in self.events])


class Lines:
    """The events in a stream of bytes, however reads cut it.

    As in the HTML standard, but a lone CR ends no line, and an event at the end needs no blank line after it.
    """

    def __init__(self) -> None:
        """Begin before the first byte."""
        self._rest, self._length = (
            list[bytes](),
            0,
        )  # the pieces of a line whose end has not come, and their bytes
        self._name, self._data = "", list[str]()

    def feed(self, piece: bytes) -> Iterator[tuple[str, str]]:
        """Return name and text of each event that `piece` completes.

        Raises:
            OddReplyError: a line is too long.
        """
        first, *others = piece.split(b"\n")
        self._rest.append(first)
        self._length += len(first)
        if self._length > LONGEST:
            raise odd(say("a line of the stream is longer than 1 MiB"))
        if not others:
            return
        lines, last = [b"".join(self._rest), *others[:-1]], others[-1]
        self._rest, self._length = [last], len(last)
        for line in lines:
            # Whole lines are decoded, so that no character is cut in two.
            field, _, value = line.removesuffix(b"\r").decode("utf-8", "replace").partition(":")
            if field == "data":
                self._data.append(value.removeprefix(" "))
            elif field == "event":
                self._name = value.removeprefix(" ")
            elif line in (b"", b"\r"):
                if self._data:
                    yield self._name, "\n".join(self._data)
                self._name, self._data = "", []


class _Reading:
    """What has come so far; filled by the thread of the request, read by the one that waits."""

    def __init__(self) -> None:
        self.events: list[ServerEvent] = []
        self.values = 0

    def take(self, response: "requests.Response", deadline: float) -> Reply:
        kind = response.headers.get("Content-Type", "")
        if response.status_code != 200 or not kind.startswith("text/event-stream"):
            return whole(response, deadline)
        lines = Lines()
        for piece in stream_of(response, deadline):
            self._add(lines.feed(piece))
        self._add(lines.feed(b"\n\n"))
        return Reply(200, None, "")

    def _add(self, found: Iterator[tuple[str, str]]) -> None:
        now = time.monotonic()
        for name, text in found:
            self.values += json_text.size(text)
            if len(self.events) >= MOST or self.values > json_text.VALUES:
                raise odd(say("the stream has more than {most} events, or as much in fewer", most=MOST))
            self.events.append(event(now, name, text))


def read(url: str, body: dict[str, Any], timeout: float) -> Streamed:
    """POST `body` with a wish for a stream and for its usage, and read the reply for up to `timeout` seconds.

    Raises:
        CheckError: as `Pending.result`, when not one event came; else the last event holds the fault.
    """
    start, reading = time.monotonic(), _Reading()
    wish = {"stream": True, "stream_options": {"include_usage": True}}
    pending = Pending("POST", url, body | wish, timeout, reading.take)
    try:
        reply = pending.result()
    except CheckError as error:
        events = tuple(reading.events)
        if not events:
            raise
        reason = say(
            "the stream did not end: {events}, then {why}",
            events=count(len(events), "{number} event", "{number} events", none=msg("no event")),
            why=error.fault.reason,
        )
        end = ServerEvent(time.monotonic(), "", "", {}, Fault(reason, error.fault.remedy, error.fault.state))
        return Streamed(200, None, "", start, (*events, end))
    return Streamed(reply.status, reply.data, reply.text, start, tuple(reading.events), refused=reply.refused)


def event(at: float, name: str, text: str) -> ServerEvent:
    """Make an event of its text, with a fault when that is neither a JSON object nor `[DONE]`."""
    words = say("no JSON object")
    try:
        data = json_text.loads(text)
        if isinstance(data, dict):
            return ServerEvent(at, name, text, data)
    except json_text.RefusedJsonError as error:
        words = say("JSON that clients refuse, {error}", error=error)
    except ValueError:
        pass
    fault = Fault(
        say("an event is {words}: {text}", words=words, text=shorten(text) or say("empty")),
        say("see what rewrites the stream on its way"),
    )
    return ServerEvent(at, name, text, {}, None if text == DONE else fault)


def reads(times: Sequence[float]) -> int:
    """Return how many reads brought what came at `times`, in order; what comes together counts as one.

    Times tell it better than calls of recv(): those keep apart what a proxy releases in one go as several
    segments or TLS records, and urllib3 hides them.
    """
    return bool(times) + sum(later - earlier > TOGETHER for earlier, later in pairwise(times))
