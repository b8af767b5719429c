"""The backend as users run it: its own uvicorn process, on a free port, without the developer's `.env`."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

BACKEND = Path(__file__).parents[2] / "examples" / "backend"
START_SECONDS = 120


@dataclass
class Backend:
    """A running backend and a client for it."""

    process: subprocess.Popen[bytes]
    log: Path
    session: str = "s-1"
    client: httpx2.Client = field(init=False)

    def __post_init__(self) -> None:
        """Wait until it listens; uvicorn logs the port that the system chose."""
        deadline = time.monotonic() + START_SECONDS
        while not (
            urls := [line["message"].split()[3] for line in self.lines() if "running on" in line["message"]]
        ):
            assert self.process.poll() is None, f"the backend ended:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"the backend does not listen:\n{self.log.read_text()}"
            time.sleep(0.05)
        self.client = httpx2.Client(base_url=urls[0], timeout=60, trust_env=False)

    def lines(self) -> list[dict[str, Any]]:
        """The lines of the log that are whole and JSON; before the settings are read, there are others."""
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    def chat(self, message: str, session: str | None = None) -> httpx2.Response:
        """Send one message."""
        return self.client.post("/v1/chat", json={"message": message, "session_id": session or self.session})

    def stream(self, message: str) -> list[tuple[str, dict[str, Any]]]:
        """Send one message and return the events of the answer."""
        reply = self.client.post("/v1/chat/stream", json={"message": message, "session_id": self.session})
        assert reply.status_code == 200, reply.text
        return events(reply.text)

    def end(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Signal the process and return its exit code."""
        self.process.send_signal(sign)
        return self.process.wait(30)


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Parse server-sent events of one line of data each."""
    found = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


Start = Callable[..., Backend]


@contextmanager
def starting(directory: Path) -> Iterator[Start]:
    """Start backends in an empty directory; settings come as keywords; all are gone afterwards."""
    (directory / "src").symlink_to(BACKEND / "src")
    running: list[Backend] = []
    processes: list[subprocess.Popen[bytes]] = []
    command = [sys.executable, "-m", "uvicorn", "src.api.main:app", "--host", "127.0.0.1", "--port", "0"]

    def run(**settings: str) -> Backend:
        log = directory / f"log-{len(processes)}"
        environment = {"PATH": os.environ["PATH"], **settings}
        with log.open("wb") as out:
            processes.append(
                subprocess.Popen(
                    command, cwd=directory, env=environment, stdout=out, stderr=subprocess.STDOUT
                )
            )
        running.append(Backend(processes[-1], log))
        return running[-1]

    try:
        yield run
    finally:
        for backend in running:
            backend.client.close()
        for process in processes:
            process.kill()
            process.wait(30)
