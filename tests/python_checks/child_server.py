"""Child of the wait tests: writes a recorded log under its own pid and the time of day, then serves, hangs, refuses or dies."""

import json
import os
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STAMP = re.compile(r"\d\d-\d\d \d\d:\d\d:\d\d \[")
log, recorded, port, then = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]


class Handler(BaseHTTPRequestHandler):
    """Healthy at once; a chat goes as `then` says."""

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._reply(200, b"")

    def do_POST(self) -> None:
        if then == "die on chat":
            with log.open("a") as file:
                file.write("InductorError: g++ not found\n")
            os._exit(0)
        choice = {"message": {"content": "hi"}, "finish_reason": "stop"}
        self._reply(500 if then == "refuse chat" else 200, json.dumps({"choices": [choice]}).encode())

    def log_message(self, *_: object) -> None:
        """Stay silent."""


with log.open("a", encoding="utf-8") as file:
    for number, line in enumerate(recorded.read_text(encoding="utf-8").splitlines(keepends=True)):
        words = line.split(" ")
        if words[0] == "(APIServer":
            words[1] = f"pid={os.getpid()})"
        # With its old times the log would be another process's for a waiter that comes late.
        file.write(STAMP.sub(time.strftime("%m-%d %H:%M:%S ["), " ".join(words), count=1))
        if number % 40 == 0:  # in several writes, as a server does
            file.flush()
            time.sleep(0.3)
if then == "exit":
    sys.exit(1)
if then == "hang":
    time.sleep(60)
ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
