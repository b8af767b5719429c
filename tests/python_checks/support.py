"""What the tests of python_checks share besides fixtures: a server that answers as told, and a few types."""

import json
import subprocess
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECORDED = Path(__file__).parent / "recorded"
DEADLINE = 60  # seconds; a probe that takes longer hangs

Replies = dict[str, Any]
Recorded = Callable[[str], list[str]]
Probe = Callable[..., subprocess.CompletedProcess[str]]


class Server:
    """A server on a free port; `answers` maps a path to (status, body), or to a function of the request.

    With a `key` it asks for that below /v1, as vLLM does; `told` is what each request had to say for itself.
    """

    def __init__(self) -> None:
        """Take a free port; ``tests.serving`` serves."""
        self.answers: dict[str, Any] = {}
        self.requests: list[tuple[str, Any]] = []
        self.key, self.told = "", list[tuple[str, str]]()
        self.refusal: dict[str, Any] = {"error": "Unauthorized"}
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(length)) if length else None
                owner.requests.append((self.path, body))
                answer = owner.answers.get(self.path, (404, {"detail": "Not Found"}))
                told = self.headers.get("Authorization", "")
                owner.told.append((self.path, told))
                if owner.key and self.path.startswith("/v1/") and told != f"Bearer {owner.key}":
                    answer = 401, owner.refusal
                status, data = answer(body) if callable(answer) else answer
                if status == "drip":
                    return self._drip()
                raw = data.encode() if isinstance(data, str) else json.dumps(data).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                if 300 <= status < 400:
                    self.send_header("Location", data)
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


def shard(path: Path, tensors: dict[str, int]) -> Path:
    """Write a safetensors file with tensors of so many bytes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, size in tensors.items():
        header[name] = {"dtype": "U8", "shape": [size], "data_offsets": [end, end + size]}
        end += size
    raw = json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + b"\1" * end)
    return path


Healthy = tuple[Server, list[str]]  # a server that answers every check well, and the options for it


def wait_for_end(pid: int) -> None:
    """Wait until a process is gone, or a zombie that another one has to reap."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return
        except OSError:
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} lives on")
