"""What differs between two replies is named, and what is a server's own for each reply is not."""

from __future__ import annotations

from typing import Any

import pytest

from python_checks.conformance.through import Seen, judge

REPLY = {
    "id": "chatcmpl-1",
    "created": 1,
    "choices": [{"message": {"content": "a", "reasoning": "b", "tool_calls": []}}],
    "usage": {"n": 3},
}


def changed(**message: Any) -> dict[str, Any]:
    return REPLY | {"choices": [{"message": {"content": "a", "reasoning": "b", "tool_calls": []} | message}]}


def test_ids_and_times_may_differ() -> None:
    assert judge(Seen(200, REPLY), Seen(200, REPLY | {"id": "chatcmpl-2", "created": 9})) == []


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({key: value for key, value in REPLY.items() if key != "usage"}, "reply.usage is dropped"),
        (REPLY | {"via": "x"}, "reply.via is added"),
        ({key: value for key, value in REPLY.items() if key != "id"}, "reply.id is dropped"),
        (REPLY | {"id": None}, "reply.id is 'chatcmpl-1', and through it None"),
        (changed(content="c"), "reply.choices[0].message.content is 'a', and through it 'c'"),
        (changed(tool_calls=[{}]), "message.tool_calls is [], and through it [{}]"),
        ("text", "reply is {"),
    ],
)
def test_a_field(other: Any, words: str) -> None:
    [fault] = judge(Seen(200, REPLY), Seen(200, other))
    assert words in fault.reason


def test_a_status() -> None:
    [fault] = judge(Seen(200, REPLY), Seen(502, None))
    assert fault.reason == "the status is 200, and through it 502"


def test_events_that_are_merged_or_renamed() -> None:
    events = (("", {"n": 1}), ("", {"n": 2}), ("", "[DONE]"))
    assert judge(Seen(200, None, events), Seen(200, None, events)) == []
    [fault] = judge(Seen(200, None, events), Seen(200, None, events[1:]))
    assert fault.reason == "3 events are 2 through it"
    [fault] = judge(Seen(200, None, events), Seen(200, None, (*events[:2], ("done", "[DONE]"))))
    assert "event 2[0]" in fault.reason


def test_many_differences_are_counted() -> None:
    [fault] = judge(Seen(200, {str(n): n for n in range(20)}), Seen(200, {}))
    assert fault.reason.endswith("; 15 more")
