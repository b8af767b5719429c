"""The API server of a scripted vLLM: it answers the conformance matrix with replies that a real one gave, and any other chat with words.

test_upgrade.py packs it into a wheel as vllm/entrypoints/openai/api_server.py, with a script beside it: version, gap, memory, exchanges.
"""

from __future__ import annotations

import argparse
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SCRIPT: dict[str, Any] = json.loads(Path(__file__).with_name("script.json").read_text(encoding="utf-8"))
METRICS = """vllm:num_requests_running{engine="0"} 0.0
vllm:num_requests_waiting{engine="0"} 0.0
vllm:iteration_tokens_total_count{engine="0"} 5.0
vllm:prompt_tokens_total{engine="0"} 3.0
vllm:generation_tokens_total{engine="0"} 4.0
vllm:kv_cache_usage_perc{engine="0"} 0.25
vllm:cache_config_info{block_size="16",engine="0",num_gpu_blocks="100"} 1.0
"""


def words(model: str) -> dict[str, Any]:
    """Return the answer to a chat that was not recorded."""
    message = {"role": "assistant", "content": "Hello, how can I help you?"}
    usage = {"prompt_tokens": 2, "completion_tokens": 8, "total_tokens": 10}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"object": "chat.completion", "model": model, "choices": [choice], "usage": usage}


class Handler(BaseHTTPRequestHandler):
    """Answers as the script says."""

    model = ""

    def _reply(self, status: int, kind: str, text: str) -> None:
        raw = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        events = raw.split(b"\n\n") if "event-stream" in kind else [raw]
        for number, event in enumerate(events):
            if len(events) > 1:  # much longer than what other work on this machine may add
                time.sleep(SCRIPT["gap"] if number else 10 * SCRIPT["gap"])
            if number:
                event = b"\n\n" + event
            self.wfile.write(event)
            self.wfile.flush()

    def do_GET(self) -> None:
        answers = {
            "/health": "",
            "/version": json.dumps({"version": SCRIPT["version"]}),
            "/v1/models": json.dumps({"data": [{"id": self.model}]}),
            "/metrics": METRICS,
        }
        found = self.path in answers
        self._reply(200 if found else 404, "text/plain", answers.get(self.path, ""))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        same = [each for each in SCRIPT["exchanges"] if (each["path"], each["body"]) == (self.path, body)]
        if same:
            self._reply(same[0]["status"], same[0]["kind"], same[0]["text"])
        else:
            self._reply(200, "application/json", json.dumps(words(self.model)))

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--served-model-name")
    given, _ = parser.parse_known_args()
    Handler.model = given.served_model_name
    with ThreadingHTTPServer((given.host, given.port), Handler) as server:
        server.daemon_threads = True
        server.serve_forever()


if __name__ == "__main__":
    main()
