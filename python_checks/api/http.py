"""One HTTP exchange under a hard deadline, and what its failures mean."""

import json
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPSConnection, IncompleteRead
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from python_checks.api import json_text, keys
from python_checks.api.http_errors import failure, odd
from python_checks.core.result import shorten
from python_checks.core.say import say

if TYPE_CHECKING:
    import requests

LIMIT = 8  # MiB of a body; vLLM's own to a probe are below 1
PIECE = 65536  # bytes of one look into the socket, at most


class Head(Protocol):
    """The head of a reply, in either library."""

    def get(self, name: str, /) -> str | None:
        """Return a field, None when it is not there."""
        ...


@dataclass(frozen=True)
class Reply:
    """What a server answered.

    Attributes:
        status: Of HTTP.
        data: The parsed JSON, None when the body is none.
        text: The body.
        refused: Why the body, which looks like JSON, is none that clients take; empty when it does not, or is.
    """

    status: int
    data: Any
    text: str
    refused: str = field(default="", kw_only=True)


def reply(status: int, body: bytes) -> Reply:
    """Read a body as UTF-8, and as JSON where it is that."""
    try:
        text = body.decode()
        return Reply(status, json_text.loads(text), text)
    except UnicodeDecodeError as error:
        why = say("its byte {start} is no UTF-8", start=error.start)
        return Reply(status, None, body.decode("utf-8", "replace"), refused=why)
    except json_text.RefusedJsonError as error:
        return Reply(status, None, text, refused=str(error))
    except ValueError:
        return Reply(status, None, text)


def pieces(read: Callable[[int], bytes], headers: Head, deadline: float) -> Iterator[bytes]:
    """Yield a body as it comes.

    Raises:
        OddReplyError: it is larger than LIMIT, or its head says what no server should say.
        IncompleteRead: it ends before its end.
        TimeoutError: `deadline` passed, by `time.monotonic()`.
    """
    length, coding = headers.get("Content-Length"), headers.get("Content-Encoding")
    if length is not None and not re.fullmatch(r"\d{1,18}", length, re.ASCII):
        raise odd(say("its Content-Length is {length}", length=shorten(repr(length), 40)))
    if coding not in (None, "", "identity"):  # not unpacked: a few kilobytes may become gigabytes
        packing = shorten(coding, 40)
        raise odd(say("the reply is packed ({coding}), though no packing was asked for", coding=packing))
    chunked = length is None or "chunked" in (headers.get("Transfer-Encoding") or "")
    wanted, size = math.inf if chunked else int(length or 0), 0
    while size < wanted and (piece := read(PIECE)):
        size += len(piece)
        if max(size, 0 if chunked else wanted) > LIMIT * 2**20:
            raise odd(say("the reply is larger than {limit} MiB", limit=LIMIT))
        if time.monotonic() >= deadline:
            raise TimeoutError
        yield piece
    if size < wanted and not chunked:
        raise IncompleteRead(b"", int(wanted) - size)


def whole(response: "requests.Response", deadline: float) -> Reply:
    """Read the body to its end."""
    return reply(response.status_code, b"".join(stream_of(response, deadline)))


def stream_of(response: "requests.Response", deadline: float) -> Iterator[bytes]:
    """Yield the body of a response of requests as it comes, as `pieces` does."""
    return pieces(lambda size: response.raw.read1(size, decode_content=False), response.headers, deadline)


Take = Callable[["requests.Response", float], Reply]


class Pending:
    """A request under way in its own thread, so that a server that drips bytes cannot hold the check."""

    def __init__(self, method: str, url: str, body: Any, timeout: float, take: Take = whole) -> None:
        """Send the request; its deadline is `timeout` seconds from now. `take` reads the body until then, in the thread.

        Raises:
            CheckError: the server's API key cannot be read.
        """
        self.url, self.timeout, self.key = url, timeout, keys.header(url)
        self.deadline = time.monotonic() + timeout
        self._reply: Reply | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, args=(method, body, take), daemon=True)
        self._thread.start()

    def _work(self, method: str, body: Any, take: Take) -> None:
        # Loaded here: --help and the checks that use no network need not wait for it.
        import requests

        try:
            with requests.Session() as session:
                session.trust_env = False  # a proxy of the environment must not answer for a local server
                session.headers.update({"Accept-Encoding": "identity"} | self.key)
                # Else it reads the whole body of a redirect, to learn where that leads.
                session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]  # requests has no setting for it
                response = session.request(
                    method, self.url, json=body, timeout=self.timeout, allow_redirects=False, stream=True
                )
                self._reply = take(response, self.deadline)
        except Exception as error:  # handed over to the thread that waits
            self._error = error

    def done(self, wait: float) -> bool:
        """Wait up to `wait` seconds, never past the deadline; tell whether `result` would return at once."""
        self._thread.join(max(0.0, min(wait, self.deadline - time.monotonic())))
        return not self._thread.is_alive() or time.monotonic() >= self.deadline

    def result(self) -> Reply:
        """Return the reply.

        Raises:
            NoAnswerError: the deadline passed.
            SeveredError: nobody listens, or the exchange broke off.
            OddReplyError: what came is nothing that vLLM sends.
            CheckError: anything else.
        """
        self.done(self.timeout)
        if self._reply is not None:
            return self._reply
        raise failure(self._error, self.url, self.timeout)


class Light(Pending):
    """A request of the canary, without `requests`: loading that costs more than all else of a run each minute.

    It asks no proxy, follows no redirect and asks for no packing either.
    """

    def _work(self, method: str, body: Any, *_: object) -> None:
        place = urlsplit(self.url)
        kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
        try:
            with closing(kind(place.hostname or "", place.port, timeout=self.timeout)) as connection:
                raw = None if body is None else json.dumps(body).encode()
                connection.request(method, place.path, raw, {"Content-Type": "application/json"} | self.key)
                response = connection.getresponse()
                text = b"".join(pieces(response.read1, response.headers, self.deadline))
                self._reply = reply(response.status, text)
        except Exception as error:  # handed over to the thread that waits
            self._error = error


def fetch(method: str, url: str, timeout: float, body: Any = None) -> Reply:
    """Send one request and return the reply within `timeout` seconds.

    Raises:
        CheckError: as `Pending.result`.
    """
    return Pending(method, url, body, timeout).result()


def refusal(reply: Reply) -> str:
    """Return the server's own words about an error: vLLM's, the backend's, FastAPI's, or the body's start."""
    data = reply.data
    if reply.refused:
        text = shorten(reply.text)
        return say("JSON that clients refuse, {refused}: {text}", refused=reply.refused, text=text)
    if isinstance(data, dict):
        inner = data.get("error")
        candidates = [inner.get("message"), inner.get("type")] if isinstance(inner, dict) else []
        candidates += [data.get(key) for key in ("reason", "message", "detail", "error")]
        if words := next(filter(None, candidates), None):
            return shorten(words if isinstance(words, str) else json.dumps(words, ensure_ascii=False), 200)
    return shorten(reply.text, 200) or say("empty body")
