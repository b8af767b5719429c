"""A peer for tests of faults: speaks vLLM's chat completions over HTTP, and fails in the ways vLLM does.

The main path is tested with the real vLLM in test_served.py; what is here no healthy server would do.
"""

import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from replies import MODEL, answer, chunks, dangling, finish, too_long

LONGEST_HANG = 30.0


class Replay(ThreadingHTTPServer):
    """The peer. `mode` chooses how it behaves, `requests` holds the bodies that it got."""

    daemon_threads = True
    # A heals-by-itself test starts it on a port that was just closed.
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        """Listen and serve; port 0 takes a free one."""
        super().__init__(("127.0.0.1", port), Handler)
        self.lock = threading.Lock()
        self.busy = 0
        self.connections: list[socket.socket] = []
        self.release = threading.Event()
        self.reset()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def reset(self) -> None:
        """Forget what was, and behave."""
        self.release.set()
        self.mode = "normal"
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.most_busy = 0
        self.release = threading.Event()
        self.hanging = threading.Event()

    @property
    def url(self) -> str:
        """The base URL, as for VLLM_BASE_URL."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def stop(self) -> None:
        """Close the port."""
        self.release.set()
        self.shutdown()
        self.server_close()
        # As with a process that ends: the connections that clients keep open end too.
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def hang(self) -> None:
        """Hold the request until the test releases it."""
        release = self.release
        self.hanging.set()
        release.wait(LONGEST_HANG)


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    server: Replay

    def setup(self) -> None:
        """Note the connection."""
        self.server.connections.append(self.request)
        super().setup()

    def do_POST(self) -> None:
        """Serve /v1/chat/completions."""
        peer = self.server
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with peer.lock:
            peer.requests.append(request)
            peer.keys.append(self.headers.get("Authorization"))
            peer.busy += 1
            peer.most_busy = max(peer.most_busy, peer.busy)
        try:
            with contextlib.suppress(BrokenPipeError):  # tests hang up on purpose
                self._answer(peer, request)
        finally:
            with peer.lock:
                peer.busy -= 1

    def _answer(self, peer: Replay, request: dict[str, Any]) -> None:
        after_tool = request["messages"][-1]["role"] == "tool"
        if peer.mode == "hang" or (peer.mode == "hang_after_tool" and after_tool):
            peer.hang()
        if request["model"] != MODEL:
            self._send_error(404, f"The model `{request['model']}` does not exist.")
        elif dangling(request["messages"]):
            self._send_error(400, "An assistant message with tool_calls must be followed by tool messages")
        elif words := too_long(peer.mode, request["messages"]):
            self._send_error(400, words)
        elif peer.mode.isdecimal():
            self._send_error(int(peer.mode), "out of order")
        elif peer.mode == "html":
            self._send("text/html", b"<html>It works!</html>")
        elif request.get("stream"):
            self._stream(peer, request)
        else:
            message = answer(peer.mode, request)
            choice = {"index": 0, "message": message, "finish_reason": finish(peer.mode, message)}
            usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
            head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL}
            self._send("application/json", json.dumps(head | {"choices": [choice], "usage": usage}).encode())

    def _stream(self, peer: Replay, request: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        message = answer(peer.mode, request)
        for number, line in enumerate(chunks(message, finish(peer.mode, message))):
            if number == 2 and peer.mode == "cut":
                self.close_connection = True
                return
            if number == 2 and peer.mode == "hang_in_stream":
                peer.hang()
            if number == 2 and peer.mode == "error_in_stream":
                line = {"error": {"message": "EngineCore died", "type": "InternalServerError", "code": 500}}
            self._chunk(f"data: {json.dumps(line)}\n\n".encode())
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _send_error(self, status: int, message: str) -> None:
        error = {"message": message, "type": "Error", "param": None, "code": status}
        self._send("application/json", json.dumps({"error": error}).encode(), status)

    def _send(self, kind: str, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""
