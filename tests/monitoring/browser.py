"""Debian's Chromium without a window, told what to do over its debugging pipe."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 60  # for one answer
PROGRAM = shutil.which("chromium")


@dataclass
class Tab:
    """A page that is open."""

    to: int
    answers: int
    session: str = ""
    number: int = 0
    rest: bytes = b""
    events: list[str] = field(default_factory=list)

    def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of Chromium's protocol, and return its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + SECONDS
        while True:
            answer = self._next(deadline)
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])

    def wait(self, event: str) -> None:
        """Wait for an event."""
        deadline = time.monotonic() + SECONDS
        while event not in self.events:
            self._next(deadline)

    def _next(self, deadline: float) -> dict[str, Any]:
        """Return the next message, and keep the name of an event."""
        while b"\0" not in self.rest:
            assert select.select([self.answers], [], [], max(0, deadline - time.monotonic()))[0], (
                "Chromium says nothing"
            )
            piece = os.read(self.answers, 2**20)
            assert piece, "Chromium has ended"
            self.rest += piece
        head, _, self.rest = self.rest.partition(b"\0")
        message: dict[str, Any] = json.loads(head)
        self.events.append(message.get("method", ""))
        return message

    def show(self, url: str, width: int, height: int, *, dark: bool = False) -> None:
        """Load a page in a window of this size; what is narrow is a phone."""
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.tell("Page.navigate", url=url)
        self.wait("Page.loadEventFired")

    def ask(self, script: str) -> Any:
        """Return the value of a JavaScript expression."""
        result = self.tell("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def picture(self, path: Path) -> None:
        """Keep a picture of the whole page."""
        shot = self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def chromium(home: Path) -> Iterator[Tab]:
    """Yield an empty tab, and end the browser."""
    assert PROGRAM
    ours, theirs = os.pipe(), os.pipe()  # (read, write): to Chromium, and from it

    def pipes() -> None:
        """Chromium reads from 3 and writes to 4; both of its ends may have these numbers already."""
        reads, writes = os.dup(ours[0]), os.dup(theirs[1])
        os.dup2(reads, 3)
        os.dup2(writes, 4)

    argv = [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
    argv += ["--remote-debugging-pipe", f"--user-data-dir={home}", "about:blank"]
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(
            argv, stdout=log, stderr=log, preexec_fn=pipes, close_fds=False, start_new_session=True
        )
    os.close(ours[0])
    os.close(theirs[1])
    try:
        tab = Tab(ours[1], theirs[0])
        target = tab.tell("Target.createTarget", url="about:blank")["targetId"]
        tab.session = tab.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab.tell("Page.enable")
        tab.tell("Network.enable")
        yield tab
    finally:
        with suppress(OSError):
            os.close(ours[1])
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait(10)
        os.close(theirs[0])
