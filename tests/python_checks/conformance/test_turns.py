"""Both turns of the tool call over HTTP: what is sent, and what a broken second turn says."""

import copy
import json
from typing import Any

import pytest

from python_checks.api.tool_replies import FLAGS
from python_checks.api.weather import PROMPT, RESULT, request
from tests.python_checks.support import Probe, Replies, Server

CHAT = "/v1/chat/completions"


def test_both_turns_over_http(server: Server, probe: Probe, replies: Replies) -> None:
    turns = iter([(200, replies["tool_call"]), (200, replies["second_turn"])])
    server.answers[CHAT] = lambda body: next(turns)
    done = probe("tool-call", "--url", server.url, "--format", "json")
    result = json.loads(done.stdout)["results"][0]
    assert (done.returncode, result["state"]) == (0, "ok"), result
    first, second = (body for _, body in server.requests)
    assert first == request("gpt-oss-120b")
    call = replies["tool_call"]["choices"][0]["message"]["tool_calls"][0]
    assert second["messages"][0] == PROMPT
    assert second["messages"][1]["tool_calls"] == [call]
    assert second["messages"][2]["tool_call_id"] == call["id"]
    assert json.loads(second["messages"][2]["content"]) == RESULT


@pytest.mark.parametrize(
    ("status", "change", "words"),
    [
        (200, {"content": None}, "second turn: no content"),
        (200, {"content": "<|channel|>final"}, "second turn: Harmony token <|channel|>"),
        (200, {"finish_reason": "length"}, "second turn: finish_reason length, wanted stop"),
        (500, {}, "second turn: HTTP 500"),
    ],
)
def test_a_broken_second_turn_is_named(
    server: Server, probe: Probe, replies: Replies, status: int, change: Any, words: str
) -> None:
    second = copy.deepcopy(replies["second_turn"])
    for place in (second["choices"][0], second["choices"][0]["message"]):
        place.update({key: value for key, value in change.items() if key in place})
    turns = iter([(200, replies["tool_call"]), (status, second)])
    server.answers[CHAT] = lambda body: next(turns)
    done = probe("tool-call", "--url", server.url)
    assert done.returncode == 2 and words.replace("|", "¦") in done.stdout


def test_the_remedy_names_each_thing_once(server: Server, probe: Probe, replies: Replies) -> None:
    server.answers[CHAT] = (200, replies["no_flags"])
    done = probe("tool-call", "--url", server.url)
    assert done.returncode == 2
    assert done.stdout.count("--tool-call-parser openai") == 1
    assert len(server.requests) == 1  # no second turn without a call
    assert FLAGS in done.stdout
