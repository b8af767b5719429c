"""A server that speaks as vLLM does, one word at a time, for what lies between it and a client: ``python engine.py PORT``.

The body of a chat says what comes: ``words`` of them, ``gap`` seconds between two, ``status`` of the reply, ``cut`` after so many words,
``told``: a stream goes on until ``GET /end``. ``GET /seen`` tells the heads of the requests so far, ``GET /used`` what it counted of each
request that it ended, by X-Request-Id. A line on standard input closes its port and all connections, the next one opens it again.
"""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import count
from typing import Any

MODEL = "gpt-oss-120b"
CHECKS = ("/health", "/-/ready")  # what the gateway asks by itself, in between
SEEN: list[dict[str, Any]] = []
USED: dict[str, dict[str, Any]] = {}
ENDS = [asyncio.Event()]  # the last one is to come
OPEN: set[asyncio.StreamWriter] = set()


def usage(words: int) -> dict[str, Any]:
    """Return what a request of so many words took."""
    return {
        "prompt_tokens": 70 + words,
        "total_tokens": 70 + 2 * words,
        "completion_tokens": words,
        "completion_tokens_details": {"reasoning_tokens": words // 2},
    }


def compact(data: object) -> str:
    """Return JSON as vLLM writes it."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def piece(delta: dict[str, str] | None, used: dict[str, Any] | None = None) -> bytes:
    """Return an event of a stream."""
    choices = [{"index": 0, "delta": delta, "finish_reason": None}] if delta is not None else []
    data = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": MODEL, "choices": choices}
    return f"data: {compact(data | {'usage': used})}\n\n".encode()


async def stream(writer: asyncio.StreamWriter, wanted: dict[str, Any], identity: str) -> None:
    """Answer in events."""
    words, gap, end = int(wanted.get("words", 5)), float(wanted.get("gap", 0.005)), ENDS[-1]

    async def send(data: bytes) -> None:
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await writer.drain()

    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    for number in count():
        if end.is_set() if wanted.get("told") else number == words:
            words = number
            break
        if number == wanted.get("cut"):
            return writer.transport.abort()
        await asyncio.sleep(gap)
        # A model may say anything, and its words must not be taken for what was counted.
        await send(piece({"content": f'w{number} "usage":{{"prompt_tokens":9999}} '}))
    USED[identity] = usage(words)
    await send(piece(None, USED[identity]))
    await send(b"data: [DONE]\n\n")
    writer.write(b"0\r\n\r\n")
    return None


async def answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str, target: str, head: dict[str, str]
) -> None:
    """Answer one request."""
    body = await reader.readexactly(int(head.get("content-length", 0)))
    wanted = json.loads(body) if body.startswith(b"{") else {}
    identity, status, reply = head.get("x-request-id", ""), 200, dict[str, Any]()
    if target == "/seen":
        reply = {"seen": SEEN}
    elif target == "/used":
        reply = USED
    elif target == "/end":
        ENDS[-1].set()
        ENDS.append(asyncio.Event())
    elif target == "/version":
        reply = {"version": "0.32.0"}
    elif target not in CHECKS:
        SEEN.append({"method": method, "target": target, "head": head, "bytes": len(body)})
        if wanted.get("stream"):
            return await stream(writer, wanted, identity)
        await asyncio.sleep(float(wanted.get("gap", 0)))
        status, words = int(wanted.get("status", 200)), int(wanted.get("words", 5))
        message = {"role": "assistant", "content": 'word "usage":{"prompt_tokens":9999} ' * words}
        choices = [{"index": 0, "message": message}]
        models = [{"id": MODEL, "object": "model"}]
        reply = {"id": "chatcmpl-1", "model": MODEL, "choices": choices, "usage": usage(words)}
        reply = {"object": "list", "data": models} if method == "GET" else reply
        if status == 200 and method == "POST":
            USED[identity] = usage(words)
            reply["prompt_logprobs"] = None
        elif status != 200:
            reply = {"error": {"message": "as asked for", "type": "server_error"}}
    data = compact(reply).encode()
    writer.write(
        f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n".encode()
        + data
    )
    return None


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of a connection."""
    OPEN.add(writer)
    try:
        while lines := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n"):
            method, target, _ = lines[0].split(" ", 2)
            head = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
            await answer(reader, writer, method, target, {name.lower(): text for name, text in head.items()})
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
    finally:
        OPEN.discard(writer)


async def main() -> None:
    """Serve, and be away, in turn."""
    while True:
        server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=1024)
        print("serving", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        server.close()
        for writer in list(OPEN):
            writer.transport.abort()
        print("away", flush=True)
        await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main())
