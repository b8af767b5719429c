"""One HTTP exchange under a hard deadline, and what its failures mean."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from python_checks import keys
from python_checks.http_errors import failure
from python_checks.result import shorten

if TYPE_CHECKING:
    import requests


@dataclass(frozen=True)
class Reply:
    """What a server answered; `data` is the parsed JSON, None when the body is not JSON."""

    status: int
    data: Any
    text: str


def whole(response: "requests.Response") -> Reply:
    """Read the body to its end."""
    text = response.content.decode("utf-8", "replace")
    return Reply(response.status_code, parse(text), text)


class Pending:
    """A request under way in its own thread, so that a server that drips bytes cannot hold the check."""

    def __init__(
        self,
        method: str,
        url: str,
        body: Any,
        timeout: float,
        take: Callable[["requests.Response"], Reply] = whole,
    ) -> None:
        """Send the request; its deadline is `timeout` seconds from now. `take` reads the body, in the thread.

        Raises:
            CheckError: the server's API key cannot be read.
        """
        self.url, self.timeout, self.key = url, timeout, keys.header(url)
        self.deadline = time.monotonic() + timeout
        self._reply: Reply | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, args=(method, body, take), daemon=True)
        self._thread.start()

    def _work(self, method: str, body: Any, take: Callable[["requests.Response"], Reply]) -> None:
        # Loaded here: --help and the checks that use no network need not wait for it.
        import requests

        try:
            with requests.Session() as session:
                session.trust_env = False  # a proxy of the environment must not answer for a local server
                response = session.request(
                    method,
                    self.url,
                    json=body,
                    headers=self.key,
                    timeout=self.timeout,
                    allow_redirects=False,
                    stream=True,
                )
                self._reply = take(response)
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
            CheckError: anything else.
        """
        self.done(self.timeout)
        if self._reply is not None:
            return self._reply
        raise failure(self._error, self.url, self.timeout)


def fetch(method: str, url: str, timeout: float, body: Any = None) -> Reply:
    """Send one request and return the reply within `timeout` seconds.

    Raises:
        CheckError: as `Pending.result`.
    """
    return Pending(method, url, body, timeout).result()


def refusal(reply: Reply) -> str:
    """Return the server's own words about an error: vLLM's, the backend's, FastAPI's, or the body's start."""
    data = reply.data
    if isinstance(data, dict):
        inner = data.get("error")
        candidates = [inner.get("message"), inner.get("type")] if isinstance(inner, dict) else []
        candidates += [data.get(key) for key in ("reason", "message", "detail", "error")]
        for words in candidates:
            if words:
                return shorten(
                    words if isinstance(words, str) else json.dumps(words, ensure_ascii=False), 200
                )
    return shorten(reply.text, 200) or "empty body"


def parse(body: str) -> Any:
    """Return the JSON of `body`, None when it is none."""
    try:
        return json.loads(body)
    except ValueError:
        return None
