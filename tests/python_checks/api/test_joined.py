"""Joining of a stream: the plain API's choice comes out again, and each broken point is caught by its name.

The streams are composed after the facts of vLLM 0.32 from what a real one answered on the plain API.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from python_checks.api.http import Reply
from python_checks.api.joined import Joined, accept, join, says
from python_checks.api.stream import ServerEvent, Streamed, event
from python_checks.core.result import CheckError, Fault
from tests.python_checks.streaming import chunk, compose, sse, usage
from tests.python_checks.support import Replies

Datas = list[Any]


def events(datas: Datas) -> list[ServerEvent]:
    """Make events of their data, a second apart."""
    return [event(float(at), "", sse(data).decode()[6:-2]) for at, data in enumerate(datas)]


def stream(replies: Replies, name: str = "tool_call") -> Datas:
    """Compose the stream of a recorded reply."""
    reply = copy.deepcopy(replies[name])
    return compose(reply["choices"][0], reply["usage"]["completion_tokens"])


def reasons(datas: Datas) -> list[str]:
    """Join, and return what is said of the faults."""
    faults = join(events(datas)).faults
    assert all(fault.remedy for fault in faults)
    return [fault.reason for fault in faults]


def delta(datas: Datas, at: int) -> dict[str, Any]:
    """Return a delta of a stream, to change it."""
    found: dict[str, Any] = datas[at]["choices"][0]["delta"]
    return found


NAMES = ["completion", "tool_call", "second_turn", "cut_call", "cut_arguments", "cut_before_call", "no_flags"]


@pytest.mark.parametrize("name", NAMES)
def test_what_the_plain_api_says_comes_out_again(replies: Replies, name: str) -> None:
    joined, plain = join(events(stream(replies, name))), replies[name]["choices"][0]
    parts = ("role", "content", "reasoning", "tool_calls")
    assert joined.choice["message"] == {part: plain["message"].get(part) for part in parts}
    assert joined.choice["finish_reason"] == plain["finish_reason"]
    assert joined.usage["completion_tokens"] == replies[name]["usage"]["completion_tokens"]
    assert joined.faults == []


def test_two_calls_whose_pieces_mix(replies: Replies) -> None:
    choice = copy.deepcopy(replies["tool_call"]["choices"][0])
    first = choice["message"]["tool_calls"][0]
    second = {"id": "other", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    choice["message"]["tool_calls"].append(second)
    datas = compose(choice, 50)
    assert delta(datas, -4)["tool_calls"][0]["index"] == 1
    datas.insert(-3, chunk({"tool_calls": [{"index": 0, "function": {"arguments": " "}}]}))
    joined = join(events(datas))
    first["function"]["arguments"] += " "
    assert joined.choice["message"]["tool_calls"] == [first, second] and joined.faults == []


def test_usage_in_every_chunk_and_nulls_are_fine(replies: Replies) -> None:
    datas = stream(replies)
    for data in datas[:-2]:
        data["usage"] = {"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": 1}
        for part in ("content", "reasoning", "tool_calls"):
            data["choices"][0]["delta"].setdefault(part, None)
    joined = join(events(datas))
    assert joined.faults == [] and joined.usage["completion_tokens"] == 32


HEAD = 10  # where the first delta of the call stands in the stream of `tool_call`


def call(datas: Datas, at: int) -> dict[str, Any]:
    """Return the piece of the call that one chunk brings."""
    found: dict[str, Any] = delta(datas, at)["tool_calls"][0]
    return found


def test_the_call_begins_where_these_tests_change_it(replies: Replies) -> None:
    at = next(at for at, data in enumerate(stream(replies)) if "tool_calls" in delta(stream(replies), at))
    assert at == HEAD


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda datas: datas.insert(2, {**datas[0], "choices": []}),
            "a chunk holds no choice and no usage: {",
        ),
        (lambda datas: datas[2].update(choices=[{"message": {}}]), "a chunk holds no choice and no usage: {"),
        (
            lambda datas: [call(datas, at).pop("index") for at in range(HEAD, len(datas) - 3)],
            "a piece of a tool call has no index: {",
        ),
        (lambda datas: call(datas, HEAD + 1).pop("index"), "a piece of a tool call has no index: {"),
        (lambda datas: call(datas, HEAD + 1).update(id="b"), "tool call 0: its id changes: chatcmpl-tool-"),
        (
            lambda datas: call(datas, HEAD + 1).update(id=call(datas, HEAD)["id"]),
            "tool call 0: its id comes again: chatcmpl-tool-",
        ),
        (lambda datas: call(datas, HEAD).pop("id"), "no id came for a tool call"),
        (
            lambda datas: call(datas, HEAD + 2)["function"].update(name="get_weather"),
            "tool call 0: its name comes again: get_weather, then get_weather",
        ),
        (
            lambda datas: call(datas, HEAD + 2)["function"].update(name="rm"),
            "tool call 0: its name changes: get_weather, then rm",
        ),
        (
            lambda datas: datas.insert(HEAD, datas.pop(HEAD + 1)),
            "tool call 0: arguments come before its name",
        ),
        (
            lambda datas: datas.insert(HEAD + 3, chunk({"tool_calls": [{"index": 2, "id": "c"}]})),
            "the index of tool calls jumps to 2, wanted 1",
        ),
        (lambda datas: delta(datas, 0).pop("role"), "no role came"),
        (lambda datas: datas.pop(-3), "no finish_reason came"),
        (
            lambda datas: datas.insert(-2, chunk({}, "stop")),
            "finish_reason comes twice: tool_calls, then stop",
        ),
        (
            lambda datas: datas.insert(-2, chunk({"content": "more"})),
            "more follows after finish_reason tool_calls",
        ),
        (lambda datas: datas.pop(-1), "no [DONE] came"),
        (lambda datas: datas.pop(-2), "no usage came"),
        (lambda datas: datas[5].update(id="x"), "the chunks differ in their id: chatcmpl-1, then x"),
        (lambda datas: datas[-2].update(model="x"), "the chunks differ in their model: gpt-oss-120b, then x"),
        (lambda datas: datas.insert(4, '{"broken": '), 'an event is no JSON object: {"broken":'),
    ],
)
def test_each_broken_point_is_named(replies: Replies, change: Callable[[Datas], Any], words: str) -> None:
    datas = stream(replies)
    change(datas)
    found = reasons(datas)
    assert [reason for reason in found if reason.startswith(words)], found
    assert len(found) == 1


@pytest.mark.parametrize("finish", [True, False])
def test_an_error_in_the_middle_is_quoted_and_explains_what_is_missing(
    replies: Replies, finish: bool
) -> None:
    error = {
        "error": {"message": "EngineCore encountered an issue", "type": "InternalServerError", "code": 500}
    }
    datas = [*stream(replies)[:5], error, *(["[DONE]"] if finish else [])]
    assert reasons(datas) == ["the stream ends in an error: EngineCore encountered an issue"]


def test_a_stream_that_broke_off_has_one_fault(replies: Replies) -> None:
    fault = Fault("the stream broke off behind 5 events", "see the log")
    joined = join([*events(stream(replies)[:5]), ServerEvent(9.0, "", "", {}, fault)])
    assert joined.faults == [fault]


def test_a_fault_of_every_chunk_is_said_once(replies: Replies) -> None:
    datas = stream(replies)
    for at in range(HEAD + 1, len(datas) - 3):
        call(datas, at)["id"] = f"new-{at}"
    assert len(reasons(datas)) == 1


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": "x"},
        {"choices": [1]},
        {"choices": [{"delta": None}]},
        chunk({"tool_calls": 7}),
        chunk({"tool_calls": [None]}),
        chunk({"tool_calls": [{"index": 0, "function": "x"}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"name": 1, "arguments": {}}}]}),
        chunk({"content": ["x"], "reasoning": 7}, "stop"),
        {"error": "x"},
        {"error": {"code": []}},
        {**usage(1), "usage": "x"},
    ],
)
def test_odd_shapes_are_no_crash(odd: Any) -> None:
    assert join(events([odd])).faults


def test_what_says_something() -> None:
    words = [{"content": "x"}, {"reasoning": "x"}, {"tool_calls": [{"index": 0}]}]
    assert [says(item) for item in events([*map(chunk, words)])] == [True, True, True]
    silent = [chunk({"role": "assistant", "content": ""}), chunk({}, "stop"), usage(3), "[DONE]"]
    assert not any(says(item) for item in events(silent))
    assert [says(item, ("content",)) for item in events([*map(chunk, words)])] == [True, False, False]


def streamed(reply: Reply, *datas: Any) -> Streamed:
    """Make what `read` returns."""
    return Streamed(reply.status, reply.data, reply.text, 0.0, tuple(events([*datas])))


def test_accept(replies: Replies) -> None:
    taken: Joined = accept(streamed(Reply(200, None, ""), *stream(replies)))
    assert taken.choice["finish_reason"] == "tool_calls"
    for reply, words in (
        (Reply(404, replies["error_404"], ""), "HTTP 404: The model `nope` does not exist"),
        (Reply(200, None, "<html>"), "HTTP 200, but no chat completion: <html>"),
        (Reply(200, replies["completion"], ""), "asked for a stream, got the reply in one piece"),
    ):
        with pytest.raises(CheckError, match=words) as caught:
            accept(streamed(reply))
        assert caught.value.fault.remedy
