#!/usr/bin/env python3
"""Record what a real vLLM answers to the conformance matrix: ``record.py URL FILE``.

A proxy between the check and the server keeps each exchange as {case, path, body, status, kind, text}; tests replay them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]


def proxy(url: str, exchanges: list[dict[str, Any]], case: list[str]) -> ThreadingHTTPServer:
    """Serve on a free port what `url` answers, and keep it under the name of the case that runs, the last of `case`."""

    class Handler(BaseHTTPRequestHandler):
        def _forward(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.loads(raw) if raw else None
            reply = requests.request(self.command, url + self.path, json=body, timeout=300)
            reply.encoding = "utf-8"
            kind = reply.headers.get("Content-Type", "")
            facts = {"status": reply.status_code, "kind": kind, "text": reply.text}
            exchanges.append({"case": case[-1], "path": self.path, "body": body} | facts)
            self.send_response(reply.status_code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content)

        do_GET = do_POST = _forward  # noqa: N815  (names of http.server)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main(url: str, file: str) -> int:
    """Run the matrix through the proxy and write the file."""
    exchanges: list[dict[str, Any]] = []
    case = ["server"]
    server = proxy(url, exchanges, case)
    own = f"http://127.0.0.1:{server.server_address[1]}"
    command = [sys.executable, "-m", "python_checks", "conformance", "--url", own, "--format", "table"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as check:
        assert check.stderr
        for line in check.stderr:  # the name of a case comes before its requests
            case.append(line.split()[0])
    Path(file).write_text(json.dumps(exchanges, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return check.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
