"""A client that asks for a chat each second, and remembers what it got."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import requests

MODEL = "gpt-oss-120b"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8, "temperature": 0}


class Client(threading.Thread):
    """Asks from ``with`` to its end, one request after the other.

    Attributes:
        answers: when each answer came, in seconds since the start.
        failures: when each failure came, and what it was.
    """

    def __init__(self, url: str, every: float = 1.0, timeout: float = 60) -> None:
        super().__init__(daemon=True)
        self.url, self.every, self.timeout = url, every, timeout
        self.answers: list[float] = []
        self.failures: list[tuple[float, str]] = []
        self._done = threading.Event()

    def run(self) -> None:
        start = due = time.monotonic()
        while not self._done.wait(max(0.0, due - time.monotonic())):
            due = max(due, time.monotonic() - self.every) + self.every
            failure = self._ask()
            passed = round(time.monotonic() - start, 1)
            if failure:
                self.failures.append((passed, failure))
            else:
                self.answers.append(passed)

    def _ask(self) -> str:
        try:
            reply = requests.post(f"{self.url}/v1/chat/completions", json=BODY, timeout=self.timeout)
        except requests.RequestException as error:
            return type(error).__name__
        if reply.status_code != 200:
            return f"{reply.status_code} {reply.text[:200]}"
        choice = reply.json()["choices"][0]
        return "" if choice["message"]["content"] else f"no words, finish_reason {choice['finish_reason']}"

    def outage(self) -> float:
        """Return the seconds from the last answer before the first failure to the next answer; 0 without a failure."""
        if not self.failures:
            return 0.0
        first = self.failures[0][0]
        before = max((when for when in self.answers if when < first), default=0.0)
        after = min((when for when in self.answers if when > first), default=float("inf"))
        return round(after - before, 1)

    def __enter__(self) -> Client:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self.join(self.timeout + 10)
