"""Streams for tests: a real server that sends what it is told when it is told, and chunks in vLLM's shape."""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import zip_longest
from typing import Any

import pytest

from tests.serving import running

Chunk = dict[str, Any]
Script = list[tuple[float, list[bytes]]]  # seconds to wait, then items that are sent in one write

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1795461278, "model": "gpt-oss-120b"}


class Speaker:
    """A server on a free port that answers every POST with `script`, with TCP_NODELAY as vLLM's has it.

    Attributes:
        script: What it sends; each item is an HTTP chunk of its own, or bare bytes when `chunked` is False.
        kind: The content type.
        chunked: HTTP/1.1 with chunks, else the connection's end is the end.
        whole: End the reply as HTTP wants it; else cut the connection.
        sent: `time.monotonic()` before each write.
        requests: The bodies that came.
    """

    def __init__(self) -> None:
        """Serve until the fixture ends it."""
        self.script: Script = []
        self.kind, self.chunked, self.whole = "text/event-stream; charset=utf-8", True, True
        self.sent: list[float] = []
        self.requests: list[Any] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                owner.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Type", owner.kind)
                self.send_header(
                    *(("Transfer-Encoding", "chunked") if owner.chunked else ("Connection", "close"))
                )
                self.end_headers()
                try:
                    for pause, items in owner.script:
                        time.sleep(pause)
                        owner.sent.append(time.monotonic())
                        self.wfile.write(b"".join(map(wrapped, items) if owner.chunked else items))
                    if owner.chunked and owner.whole:
                        self.wfile.write(b"0\r\n\r\n")
                except OSError:
                    pass  # the client hung up
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    """Give a server that streams what it is told."""
    own = Speaker()
    with running(own.server):
        yield own


def wrapped(item: bytes) -> bytes:
    """Return one HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(item), item)


def sse(data: Any) -> bytes:
    """Return one event as vLLM writes it."""
    return f"data: {data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)}\n\n".encode()


def chunk(delta: Chunk, finish: str | None = None, **more: Any) -> Chunk:
    """Return one chunk with a choice."""
    return {
        **HEAD,
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        **more,
    }


def usage(tokens: int) -> Chunk:
    """Return the usage chunk."""
    counts = {"prompt_tokens": 68, "completion_tokens": tokens, "total_tokens": 68 + tokens}
    return {**HEAD, "choices": [], "usage": counts}


def compose(choice: dict[str, Any], tokens: int) -> list[Any]:
    """Return the data of the events in which vLLM 0.32 streams a choice of the plain API.

    Composed, not recorded: role first, then reasoning, content, calls (id, name and empty arguments, then pieces),
    finish_reason in the last chunk, the usage, [DONE].
    """
    message = choice["message"]
    deltas: list[Chunk] = [{"role": "assistant", "content": ""}]
    for part in ("reasoning", "content"):
        deltas += [{part: piece} for piece in pieces(message.get(part))]
    for index, call in enumerate(message.get("tool_calls") or []):
        function = {"name": call["function"]["name"], "arguments": ""}
        deltas.append(
            {"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": function}]}
        )
        for piece in pieces(call["function"]["arguments"]):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    last = chunk({}, choice["finish_reason"])
    return [*map(chunk, deltas), last, usage(tokens), "[DONE]"]


def pieces(text: str | None) -> list[str]:
    """Cut a text into parts of three characters."""
    return ["".join(part) for part in zip_longest(*[iter(text or "")] * 3, fillvalue="")]
