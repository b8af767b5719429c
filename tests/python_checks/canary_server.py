"""Child of the canary's tests: a server whose mode is the word in a file, read anew for every request.

answer, refuse (404), fail (500), full (503), cut (the answer breaks off), page (200, but no chat), hang (no answer, counters stand),
busy (no answer, counters move), full busy, fail busy, blind (no answer, /metrics tells nothing), mute (nothing answers).
With KEY in the environment it asks for that key, as vLLM does.
"""

import itertools
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

METRICS = """vllm:num_requests_running{{engine="0",model_name="a"}} 2.0
vllm:num_requests_waiting{{engine="0",model_name="a"}} 1.0
vllm:iteration_tokens_total_bucket{{engine="0",le="1.0",model_name="a"}} {number}.0
vllm:iteration_tokens_total_count{{engine="0",model_name="a"}} {number}.0
vllm:iteration_tokens_total_count{{engine="1",model_name="a"}} 7.0
vllm:prompt_tokens_total{{engine="0",model_name="a"}} 3.0
vllm:generation_tokens_total{{engine="0",model_name="a"}} 4.0
vllm:kv_cache_usage_perc{{engine="0",model_name="a"}} 0.25
"""
STATUS = {"refuse": 404, "fail": 500, "full": 503}
port, file = int(sys.argv[1]), Path(sys.argv[2])
steps = itertools.count()


class Handler(BaseHTTPRequestHandler):
    """Answers as the mode says."""

    def _reply(self, status: int, text: str, length: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length or len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self) -> None:
        mode = file.read_text()
        if mode == "mute":
            time.sleep(120)
        number = next(steps) if "busy" in mode else 5
        self._reply(200, "up 1.0\n" if mode == "blind" else METRICS.format(number=number))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        mode = file.read_text().split()[0]
        if (key := os.environ.get("KEY")) and self.headers.get("Authorization") != f"Bearer {key}":
            self._reply(401, json.dumps({"error": f"Unauthorized: {self.headers.get('Authorization')}"}))
        elif mode in STATUS:
            self._reply(STATUS[mode], json.dumps({"error": {"message": f"so says {mode}"}}))
        elif mode in ("answer", "page", "cut"):
            choice = {"message": {"content": "hi"}, "finish_reason": "stop"}
            text = "<h1>it works</h1>" if mode == "page" else json.dumps({"choices": [choice]})
            self._reply(200, text, 1000 if mode == "cut" else 0)
        else:
            time.sleep(120)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
    server.daemon_threads = True
    print(flush=True)
    server.serve_forever()
