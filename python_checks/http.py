"""One HTTP exchange under a hard deadline, and what its failures mean."""

import json
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from python_checks.result import CheckError, Fault, State, shorten


@dataclass(frozen=True)
class Reply:
    """What a server answered; `data` is the parsed JSON, None when the body is not JSON."""

    status: int
    data: Any
    text: str


class Pending:
    """A request under way in its own thread, so that a server that drips bytes cannot hold the check."""

    def __init__(self, method: str, url: str, body: Any, timeout: float) -> None:
        """Send the request; its deadline is `timeout` seconds from now."""
        self.url, self.timeout = url, timeout
        self.deadline = time.monotonic() + timeout
        self._reply: Reply | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, args=(method, body), daemon=True)
        self._thread.start()

    def _work(self, method: str, body: Any) -> None:
        # Loaded here: --help and the checks that use no network need not wait for it.
        import requests

        try:
            with requests.Session() as session:
                session.trust_env = False  # a proxy of the environment must not answer for a local server
                reply = session.request(
                    method, self.url, json=body, timeout=self.timeout, allow_redirects=False
                )
            body_text = reply.content.decode("utf-8", "replace")
            self._reply = Reply(reply.status_code, _parse(body_text), body_text)
        except Exception as error:  # handed over to the thread that waits
            self._error = error

    def done(self, wait: float) -> bool:
        """Wait up to `wait` seconds, never past the deadline; tell whether `result` would return at once."""
        self._thread.join(max(0.0, min(wait, self.deadline - time.monotonic())))
        return not self._thread.is_alive() or time.monotonic() >= self.deadline

    def result(self) -> Reply:
        """Return the reply.

        Raises:
            CheckError: nobody listens, the deadline passed, or the exchange broke off.
        """
        self.done(self.timeout)
        if self._reply is not None:
            return self._reply
        raise CheckError(explain(self._error, self.url, self.timeout))


def fetch(method: str, url: str, timeout: float, body: Any = None) -> Reply:
    """Send one request and return the reply within `timeout` seconds.

    Raises:
        CheckError: as `Pending.result`.
    """
    return Pending(method, url, body, timeout).result()


def explain(error: Exception | None, url: str, timeout: float) -> Fault:
    """Turn a failed exchange into a fault; `error` None means that the deadline passed."""
    import requests

    place = urlsplit(url)
    port = place.port or (443 if place.scheme == "https" else 80)
    if error is None or isinstance(error, requests.Timeout):
        return Fault(
            f"no answer from {url} within {timeout:g} s",
            "it is busy or hung: see its log, and vllm:num_requests_running and _waiting in /metrics",
        )
    if isinstance(error, requests.ConnectionError) and "refused" in str(error).lower():
        return Fault(
            f"connection refused by {place.hostname}:{port}",
            f"is it running: ps aux | grep vllm; who listens: ss -ltnp | grep {port}; while the model loads "
            f"nothing listens yet: follow the log or run the wait check; from another host: sudo ufw status",
        )
    if isinstance(error, requests.ConnectionError):
        return Fault(
            f"no connection to {place.hostname}:{port}: {shorten(_root(error))}",
            "check host name, port and the way there; a connection cut in between means that the server died",
        )
    state = State.UNKNOWN if isinstance(error, ValueError) else State.CRITICAL
    return Fault(
        f"request to {url} failed: {shorten(str(error))}", "check the URL and the server's log", state
    )


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


def _parse(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _root(error: BaseException) -> str:
    """Return the innermost reason of an exception that requests and urllib3 wrapped."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return str(reason or error)
