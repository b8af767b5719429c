"""Servers that send too much, for too long, or what no server sends: each check ends in time, in words, and in little memory."""

import contextlib
import gzip
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from python_checks.api import metrics
from python_checks.api.http import Reply, reply
from python_checks.api.joined import accept
from python_checks.api.openai import choice
from python_checks.api.stream import MOST, Lines, ServerEvent, Streamed, event
from python_checks.api.tool_replies import judge_call
from python_checks.api.weather import TOOL
from python_checks.checks import chat, completion, health, latency, models
from python_checks.conformance import judges as matrix
from python_checks.conformance import responses
from python_checks.conformance.turns import judge_usage
from python_checks.core.result import CheckError
from tests.python_checks.streaming import compose, sse
from tests.python_checks.support import DEADLINE, ROOT, Replies
from tests.serving import running

MIB = 2**20
MEMORY = 200 * MIB
SECONDS = 3  # the timeout of the checks here
# Runs a check, and tells the most memory it had; as a variable of wait4 that would be at least the test's own.
MEASURED = """
import sys
{run}
peak = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print("PEAK", peak[0].split()[1])
sys.exit(code)
"""
CHECK = MEASURED.format(run="from python_checks.cli import main\ncode = main(sys.argv[1:])")
CANARY = MEASURED.format(
    run="from python_checks.canary.contact import converse, look\ncode = 0\n"
    "print(look(sys.argv[1]))\n"
    "try:\n    print(converse(sys.argv[1], 'm', 3))\nexcept Exception as error:\n    print(type(error).__name__, error)"
)

Send = Callable[[BaseHTTPRequestHandler], None]


def head(handler: BaseHTTPRequestHandler, status: int = 200, **fields: str) -> None:
    handler.send_response(status)
    for name, value in fields.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


def endless(piece: bytes, status: int = 200, **fields: str) -> Send:
    """Send a piece again and again until the client hangs up."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        head(handler, status, **fields)
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            handler.wfile.write(piece)

    return send


def body(raw: bytes, **fields: str) -> Send:
    def send(handler: BaseHTTPRequestHandler) -> None:
        head(handler, **({"Content_Length": str(len(raw))} | fields))
        handler.wfile.write(raw)

    return send


def continues(handler: BaseHTTPRequestHandler) -> None:
    """Never come to the reply itself."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def said(content: str) -> bytes:
    told = {"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}
    return json.dumps(told, ensure_ascii=False).encode()


EVENT = sse(
    {"id": "a", "model": "m", "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]}
)
STREAM = {"Content_Type": "text/event-stream"}
LARGE = "larger than 8 MiB: not vLLM"
SENDERS: dict[str, tuple[Send, str]] = {
    "endless": (endless(b" " * 65536), LARGE),
    "gigabyte": (endless(b"x" * 65536, Content_Length=str(2**30)), LARGE),
    "redirect": (endless(b"x" * 65536, 307, Location="/x"), LARGE),
    "error": (endless(b"x" * 65536, 500), LARGE),
    "bomb": (body(gzip.compress(b"x" * 64 * MIB), Content_Encoding="gzip"), "is packed (gzip)"),
    "negative": (body(said("hi"), Content_Length="-5"), "its Content-Length is '-5'"),
    "deep": (body(b"[" * 4 * MIB + b"]" * 3 * MIB), "clients refuse, it holds more than"),
    "nested": (body(b'{"a":' * 900 + b"1" + b"}" * 900), "clients refuse, it nests deeper than 100 levels"),
    "wide": (body(b"[" + b"[]," * 2 * MIB + b"1]"), "clients refuse, it holds more than"),
    "long": (body(said("g😀" * 1_500_000)), "the engine answers nonsense"),
    "twice": (body(b'{"choices": 1, "choices": 2}'), 'the key "choices" in it comes twice'),
    "nan": (body(b'{"choices": [NaN]}'), "clients refuse, NaN in it is no JSON"),
    "bytes": (body(b'{"choices": "\xff\xfe"}'), "is no UTF-8"),
    "continues": (continues, "no answer from"),
    "field": (endless(b"", X=" " * 70000), ""),  # refused, or cut off meanwhile
}
STREAMS: dict[str, tuple[Send, str]] = {
    "events": (endless(EVENT * 100, **STREAM), f"more than {MOST} events"),
    "line": (endless(b"data: " + b"x" * 65536, **STREAM), "a line of the stream is longer than 1 MiB"),
    "blank lines": (endless(b"\n" * 65536, **STREAM), LARGE),
    "wide events": (
        endless(b"data: [" + b"[]," * 300_000 + b"1]\n\n", **STREAM),
        f"more than {MOST} events, or as much in fewer",
    ),
    "bomb": (body(gzip.compress(b"x" * 64 * MIB), Content_Encoding="gzip", **STREAM), "is packed (gzip)"),
}


@pytest.fixture
def hostile() -> Iterator[Callable[[Send], str]]:
    """Serve every request with a sender; give the URL."""

    def serve(send: Send) -> str:
        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with contextlib.suppress(OSError):  # the client hung up
                    send(self)

            do_GET = do_POST = _answer  # noqa: N815  (names of http.server)

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        return servers.enter_context(running(server))

    with contextlib.ExitStack() as servers:
        yield serve


def measured(code: str, *arguments: str) -> tuple[int, str, int]:
    """Return exit code and output of a check, and its memory at most in bytes."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    output, _, peak = done.stdout.rpartition("PEAK ")
    assert peak, done.stderr
    return done.returncode, output, int(peak) * 1024


@pytest.mark.parametrize("name", SENDERS)
def test_a_reply_that_no_server_sends(hostile: Callable[[Send], str], name: str) -> None:
    send, words = SENDERS[name]
    url = hostile(send)
    code, output, peak = measured(CHECK, "completion", "--url", url, "--timeout", str(SECONDS))
    assert code == 2 and words in output and "unforeseen" not in output, output
    assert peak < MEMORY, f"{peak / MIB:.0f} MiB"


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_no_server_sends(hostile: Callable[[Send], str], name: str) -> None:
    send, words = STREAMS[name]
    code, output, peak = measured(CHECK, "latency", "--url", hostile(send), "--timeout", str(DEADLINE))
    assert code == 2 and words in output and "unforeseen" not in output, output
    assert peak < MEMORY, f"{peak / MIB:.0f} MiB"


@pytest.mark.parametrize("name", ["endless", "bomb", "negative", "wide", "long", "continues", "field"])
def test_the_canary_before_a_reply_that_no_server_sends(hostile: Callable[[Send], str], name: str) -> None:
    send, words = SENDERS[name]
    code, output, peak = measured(CANARY, hostile(send))
    assert code == 0 and words in output.replace("\\'", "'"), output
    assert "kind='" in output or name == "field", output
    assert peak < MEMORY, f"{peak / MIB:.0f} MiB"


def test_a_long_line_in_small_pieces_takes_no_time_that_grows_with_its_square() -> None:
    lines = Lines()
    cost = []
    for _ in range(2):
        start = time.process_time()
        for _ in range(60_000):
            assert list(lines.feed(b"12345678")) == []
        cost.append(time.process_time() - start)
    # Were all copied for each piece, 60,000 pieces would copy 14 GB, and the second half three times as much as the first.
    assert cost[1] < 10 * cost[0] and sum(cost) < 30


KINDS: list[Any] = [
    *(None, True, False, 0, -1, 5, 1.5, 10**15, "", " ", "x", "!" * 40, "\u200b", "\ufffd" * 9, "<|start|>"),
    *(
        [],
        {},
        [[]],
        [None],
        {"a": 1},
        [{}],
        [{"id": []}],
        {"": ""},
        "stop",
        "length",
        "abort",
        ["stop"],
        '{"a"',
    ),
    *(
        {"message": 1},
        {"message": {"content": 5}},
        '{"location": "x"}',
        "[" * 5000,
        "1" * 5000,
        "\ud800",
        "가" * 500,
    ),
]


def changed(data: Any, chance: random.Random) -> Any:
    """Return a copy in which something is another thing, or is gone, or comes again."""
    if chance.random() < 0.06:
        return chance.choice(KINDS)
    if isinstance(data, dict):
        found = {key: changed(value, chance) for key, value in data.items() if chance.random() > 0.03}
        return found | (
            {chance.choice(["error", "choices", "content", "x"]): chance.choice(KINDS)}
            if chance.random() < 0.03
            else {}
        )
    if isinstance(data, list):
        return [changed(each, chance) for each in data for _ in range(chance.choice([1] * 20 + [0, 2, 40]))]
    return data


def judges(data: Any, text: str) -> Iterator[Callable[[], Any]]:
    """Yield each judge with a reply."""
    came = Reply(200, data, text)
    yield lambda: completion.judge(choice(came))
    yield lambda: judge_call(choice(came), [TOOL])
    yield lambda: matrix.judge_none(choice(came))
    yield lambda: matrix.judge_cut(choice(came), [TOOL], 5)
    yield lambda: responses.calls(came)
    yield lambda: chat.judge(came, "")
    yield lambda: chat.judge(came, "search_policy")
    yield lambda: models.judge(came, "gpt-oss-120b")
    yield lambda: health.judge(came)
    yield lambda: matrix.judge_refusal(came, 404, "x")
    yield lambda: judge_usage(data.get("usage") if isinstance(data, dict) else data)
    yield lambda: metrics.counters(came)


@pytest.mark.parametrize("seed", range(6))
def test_no_reply_is_unforeseen(replies: Replies, seed: int) -> None:
    chance = random.Random(seed)
    other = {
        "object": "response",
        "status": "completed",
        "output": [{"type": "function_call", "call_id": "a", "name": "get_weather", "arguments": "{}"}],
    }
    backend = {"answer": "x", "tools_called": ["search_policy"], "session_id": "a"}
    for whole in [*replies.values(), other, backend] * 12:
        data = changed(whole, chance)
        for judge in judges(data, str(data)):
            try:
                judge()
            except CheckError as error:
                assert error.fault.reason, data


@pytest.mark.parametrize("seed", range(4))
def test_no_stream_is_unforeseen(replies: Replies, seed: int) -> None:
    chance = random.Random(seed)
    for name in ["completion", "tool_call", "second_turn"] * 12:
        datas = changed(compose(replies[name]["choices"][0], 20), chance)
        datas = datas if isinstance(datas, list) else [datas]
        events: list[ServerEvent] = [
            event(float(at), "", data if isinstance(data, str) else json.dumps(data))
            for at, data in enumerate(datas)
        ]
        streamed = Streamed(200, None, "", 0.0, tuple(events))
        try:
            joined = accept(streamed)
            judge_call(joined.choice, [TOOL])
            completion.judge(joined.choice)
            judge_usage(joined.usage)
            latency.judge(streamed, *(latency.Limits(1, 2),) * 2, latency.Limits(2, 1))
        except CheckError as error:
            assert error.fault.reason


@pytest.mark.parametrize("seed", range(4))
def test_no_bytes_are_unforeseen(replies: Replies, seed: int) -> None:
    chance = random.Random(seed)
    for whole in [*replies.values()] * 20:
        raw = bytearray(json.dumps(whole).encode())
        for _ in range(chance.choice([1, 3, 30])):
            raw[chance.randrange(len(raw))] = chance.choice(b'{}[]",:0-9eEN\\\xff\x00u')
        came = reply(200, bytes(raw))
        for judge in judges(came.data, came.text):
            try:
                judge()
            except CheckError as error:
                assert error.fault.reason


@pytest.mark.parametrize(
    "value", ["1e999", "eee", "1.2.3", "NaN", "+Inf", "-1", "1e400", "9" * 39, "9" * 5000, "", "0x5"]
)
def test_odd_numbers_in_the_metrics_tell_no_counters(value: str) -> None:
    text = f'vllm:num_requests_running{{engine="0"}} {value}\nvllm:num_requests_waiting{{engine="0"}} 0.0\n'
    with pytest.raises(CheckError, match="/metrics says 200 and tells no queue") as caught:
        metrics.queue(Reply(200, None, text))
    assert "log-stats" in caught.value.fault.remedy
    assert (
        metrics.queue(Reply(200, None, text.replace(f" {value}\n", " 2.0 1395066363000\n", 1))).running == 2
    )
