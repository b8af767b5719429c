"""Acquisition of a stream from a real server: events, times, deadline, and what is no stream."""

import time

import pytest

from python_checks.api.http import refusal
from python_checks.api.openai import choice
from python_checks.api.stream import TOGETHER, Lines, Streamed, event, read, reads
from python_checks.core.result import CheckError, State
from tests.python_checks.streaming import Script, Speaker, speaker, sse
from tests.python_checks.support import Server

__all__ = ["speaker"]  # a fixture

DEADLINE = 30.0
TINY = b'data: {"a": 12345}\n\n'  # 20 bytes


def told(speaker: Speaker, script: Script, timeout: float = DEADLINE) -> Streamed:
    """Read what the server sends for `script`."""
    speaker.script = script
    return read(f"{speaker.url}/v1/chat/completions", {"model": "m"}, timeout)


def test_it_asks_for_a_stream_with_its_usage(speaker: Speaker) -> None:
    told(speaker, [(0, [sse("[DONE]")])])
    assert speaker.requests == [{"model": "m", "stream": True, "stream_options": {"include_usage": True}}]


@pytest.mark.parametrize("chunked", [True, False])
def test_events_and_their_end(speaker: Speaker, chunked: bool) -> None:
    speaker.chunked = chunked
    streamed = told(speaker, [(0, [sse({"n": 1}), sse({"도시": "서울"})]), (0, [sse("[DONE]")])])
    assert [item.data for item in streamed.events] == [{"n": 1}, {"도시": "서울"}, {}]
    assert streamed.done and streamed.status == 200
    assert [item.fault for item in streamed.events] == [None] * 3
    assert not told(speaker, [(0, [sse({"n": 1})])]).done


STREAM = (
    ': ping\r\n\r\nevent: response.created\r\ndata: {"a":\r\ndata: 1}\r\n\r\n'
    'data:{"말": "맑음 🌤"}\n\n: ping\n\nid: 7\nretry: 10\n\nevent: alone\n\ndata: last'
).encode()
WANTED = [("response.created", '{"a":\n1}'), ("", '{"말": "맑음 🌤"}'), ("", "last")]


def test_lines_come_through_any_cut() -> None:
    for size in range(1, len(STREAM) + 1):
        lines = Lines()
        cuts = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
        assert [item for cut in [*cuts, b"\n\n"] for item in lines.feed(cut)] == WANTED, size


@pytest.mark.parametrize("size", [1, 7])
def test_a_server_may_cut_anywhere(speaker: Speaker, size: int) -> None:
    cuts = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    streamed = told(speaker, [(0, [cut]) for cut in cuts])
    assert [(item.name, item.text) for item in streamed.events] == WANTED


@pytest.mark.parametrize("text", ['{"a": ', "hello", "[1]", "null", "", "[DONE]."])
def test_what_is_no_json_object_is_a_fault(text: str) -> None:
    broken = event(1.0, "", text)
    assert broken.data == {} and broken.fault
    assert (
        broken.fault.reason == f"an event is no JSON object: {text.strip() or 'empty'}"
        and broken.fault.remedy
    )


def test_the_rest_comes_after_broken_json(speaker: Speaker) -> None:
    streamed = told(speaker, [(0, [sse('{"a": '), sse({"b": 1}), sse("[DONE]")])])
    assert [bool(item.fault) for item in streamed.events] == [True, False, False]
    assert streamed.events[1].data == {"b": 1} and streamed.done


def test_each_event_has_the_time_of_its_arrival(speaker: Speaker) -> None:
    streamed = told(speaker, [(0.3, [TINY])] * 4)
    for sent, arrived in zip(speaker.sent, streamed.events, strict=True):
        assert sent <= arrived.at
    # Not all at the end: the first was there before the last was sent, which was 0.9 s later.
    assert streamed.start < streamed.events[0].at < speaker.sent[-1]


def test_bursts_are_told_from_single_events(speaker: Speaker) -> None:
    burst = told(speaker, [(0.1, [TINY] * 5)] * 8)  # as HAProxy does: intact HTTP chunks, one segment
    assert len(burst.events) == 40
    assert burst.reads < 20  # 8, but for what else this host does
    speaker.sent.clear()
    single = told(speaker, [(0.02, [TINY])] * 40)
    # What was sent after the one before had been read was read alone: each of them, unless the reader has to wait for a core.
    alone = [
        sent - before.at > TOGETHER for before, sent in zip(single.events, speaker.sent[1:], strict=False)
    ]
    assert single.reads > sum(alone) > 0


@pytest.mark.parametrize(
    ("times", "wanted"),
    [
        ([], 0),
        ([5.0], 1),
        ([5.0, 5.0, 5.0], 1),
        ([5.0, 5.0009, 5.0018], 1),  # each close to the one before
        ([5.0, 5.02, 5.04], 3),
        ([5.0, 5.0001, 5.2, 5.2001, 5.4], 3),
    ],
)
def test_reads(times: list[float], wanted: int) -> None:
    assert reads(times) == wanted


def test_a_server_that_drips_ends_at_the_deadline(speaker: Speaker) -> None:
    start = time.monotonic()
    with pytest.raises(CheckError, match=r"no answer from .* within 0.5 s"):
        told(speaker, [(0.1, [b": ping\n\n"])] * 1200, 0.5)
    assert time.monotonic() - start < 60


def test_a_stream_that_drips_ends_at_the_deadline_with_what_came(speaker: Speaker) -> None:
    start = time.monotonic()
    streamed = told(speaker, [(0, [TINY] * 3), (120, [TINY])], 2)
    assert time.monotonic() - start < 60
    *came, end = streamed.events
    assert len(came) == 3 and not streamed.done and end.fault
    assert end.fault.reason.startswith("the stream did not end: 3 events, then no answer from ")
    assert end.fault.remedy


def test_a_stream_that_is_cut_off_keeps_what_came(speaker: Speaker) -> None:
    speaker.whole = False
    *came, end = told(speaker, [(0, [TINY] * 3)]).events
    assert len(came) == 3 and end.fault and end.fault.state is State.CRITICAL
    assert end.fault.reason.startswith("the stream did not end: 3 events, then ")
    assert "the server died" in end.fault.remedy


def test_an_error_is_used_like_a_reply(server: Server) -> None:
    server.answers["/x"] = (404, {"error": {"message": "The model `x` does not exist.", "code": 404}})
    streamed = read(f"{server.url}/x", {}, DEADLINE)
    assert (streamed.events, streamed.status) == ((), 404)
    assert refusal(streamed) == "The model `x` does not exist."
    with pytest.raises(CheckError, match="HTTP 404: The model `x` does not exist"):
        choice(streamed)


def test_a_whole_reply_is_used_like_a_reply(server: Server) -> None:
    server.answers["/x"] = (200, {"choices": [{"message": {"content": "안녕"}}]})
    streamed = read(f"{server.url}/x", {}, DEADLINE)
    assert streamed.events == () and choice(streamed)["message"]["content"] == "안녕"


def test_a_refused_connection_is_told(free_port: int) -> None:
    with pytest.raises(CheckError, match="connection refused"):
        read(f"http://127.0.0.1:{free_port}/x", {}, DEADLINE)
