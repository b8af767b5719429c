"""A real HTTP server that answers as a test says, recorded logs and replies, and the probe as a process."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECORDED = Path(__file__).parent / "recorded"
DEADLINE = 60  # seconds; a probe that takes longer hangs


class Server:
    """A server on a free port of this machine; `answers` maps a path to (status, body) or a function of the body."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.requests: list[tuple[str, Any]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(length)) if length else None
                owner.requests.append((self.path, body))
                answer = owner.answers.get(self.path, (404, {"detail": "Not Found"}))
                status, data = answer(body) if callable(answer) else answer
                if status == "drip":
                    return self._drip()
                raw = data.encode() if isinstance(data, str) else json.dumps(data).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def _drip(self) -> None:
                """Send a byte now and then: each read succeeds, the reply never ends."""
                self.send_response(200)
                self.end_headers()
                try:
                    for _ in range(300):
                        self.wfile.write(b" ")
                        time.sleep(0.1)
                except OSError:
                    return

            do_GET = do_POST = _answer  # noqa: N815  (names of http.server)

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    """Give a server without any answer yet."""
    own = Server()
    yield own
    own.server.shutdown()
    own.server.server_close()


@pytest.fixture
def free_port() -> int:
    """Give a port on which nobody listens."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture
def recorded() -> Callable[[str], list[str]]:
    """Give the lines of a log that a real vLLM 0.32 wrote."""
    return lambda name: (RECORDED / f"{name}.log").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def replies() -> dict[str, Any]:
    """Give the replies of a real vLLM 0.32, by name."""
    data: dict[str, Any] = json.loads((RECORDED / "replies.json").read_text(encoding="utf-8"))
    return data


Probe = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def probe() -> Probe:
    """Run `python -m python_checks ...` as a process, as Ansible and systemd do."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "python_checks", *arguments],
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    return run
