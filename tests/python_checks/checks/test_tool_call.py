"""The tool call: a real vLLM's replies pass or are caught, and every broken point is caught by its name."""

import copy
from typing import Any

import pytest

from python_checks.api.tool_replies import judge_call
from python_checks.api.weather import TOOL, request
from tests.guide import G41_BODY
from tests.python_checks.support import Replies


def broken(replies: Replies, **change: Any) -> list[str]:
    """Judge the good reply with parts of its choice, message or function changed; return the reasons."""
    first = copy.deepcopy(replies["tool_call"]["choices"][0])
    for place in (first, first["message"], first["message"]["tool_calls"][0]["function"]):
        place.update({key: value for key, value in change.items() if key in place})
    faults = judge_call(first, [TOOL])
    assert all(fault.remedy for fault in faults)
    return [fault.reason for fault in faults]


def test_the_request_is_the_guides() -> None:
    assert request("gpt-oss-120b") == {"model": "gpt-oss-120b", **G41_BODY, "temperature": 0}


def test_a_real_call_passes(replies: Replies) -> None:
    assert broken(replies) == []
    assert broken(replies, content="") == []  # as vLLM answers on tool_choice required


def test_two_calls_pass_as_well(replies: Replies) -> None:
    [call] = replies["tool_call"]["choices"][0]["message"]["tool_calls"]
    assert broken(replies, tool_calls=[call, call | {"id": "another"}]) == []
    [fault] = broken(replies, tool_calls=[call, call])
    assert "is given to more than one tool call" in fault


@pytest.mark.parametrize("name", ["no_flags", "no_flags_required"])
def test_g61_a_server_without_the_two_flags(replies: Replies, name: str) -> None:
    faults = judge_call(replies[name]["choices"][0], [TOOL])
    assert faults[0].reason.startswith("no tool call: tool_calls is ")
    for fault in faults:
        assert "--enable-auto-tool-choice --tool-call-parser openai" in fault.remedy
        assert "vllm_tool_call_parser: openai" in fault.remedy


@pytest.mark.parametrize("name", ["cut_call", "cut_arguments", "cut_before_call", "no_flags_cut"])
def test_a_real_call_that_was_cut_is_caught_by_name(replies: Replies, name: str) -> None:
    faults = judge_call(replies[name]["choices"][0], [TOOL])
    assert any("the call is cut" in fault.reason for fault in faults)
    assert any("raise the limit on new tokens" in fault.remedy for fault in faults)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tool_calls": None}, "no tool call: tool_calls is null, content is null"),
        ({"tool_calls": []}, "no tool call: tool_calls is []"),
        ({"tool_calls": {"name": "get_weather"}}, "no tool call: tool_calls is {"),
        ({"content": '{"location": "Seoul"}'}, "content beside the call is "),
        ({"finish_reason": "stop"}, "finish_reason is stop, wanted tool_calls"),
        ({"finish_reason": "length"}, "the call is cut (finish_reason length)"),
        ({"arguments": "location=Seoul"}, "arguments are no valid JSON"),
        ({"arguments": '{"location": "Seoul"} {'}, "arguments are no valid JSON"),
        ({"arguments": '{"location": "Se'}, "the call is cut"),
        ({"arguments": '{"location": "Seoul"'}, "the call is cut"),
        ({"arguments": '{"location"'}, "the call is cut"),
        ({"content": "analysisNeed it.assistantcommentary"}, "Harmony token assistantcommentary leaks"),
        ({"arguments": ""}, "arguments are empty, the call is cut"),
        ({"arguments": None}, "arguments are empty"),
        ({"arguments": "{}"}, "'location' is a required property"),
        ({"arguments": '{"location": 5}'}, "5 is not of type 'string'"),
        ({"arguments": '["Seoul"]'}, "is not of type 'object'"),
        ({"arguments": '{"location": ""}'}, "argument location is empty"),
        ({"name": "rm"}, 'called "rm", which was not offered; offered: get_weather'),
        (
            {"name": "get_weather<|channel|>commentary"},
            "Harmony token <|channel|> leaks into the tool's name",
        ),
        ({"name": "to=functions.get_weather"}, "Harmony token to=functions leaks into the tool's name"),
        ({"arguments": '<|constrain|>json{"location"'}, "Harmony token <|constrain|> leaks into arguments"),
        ({"content": "<|start|>assistant"}, "Harmony token <|start|> leaks into content"),
        ({"tool_calls": ["get_weather"]}, "tool call without a function"),
    ],
)
def test_each_broken_point_is_named(replies: Replies, change: dict[str, Any], words: str) -> None:
    assert any(words in reason for reason in broken(replies, **change)), broken(replies, **change)


def test_an_argument_the_schema_does_not_forbid_passes(replies: Replies) -> None:
    assert broken(replies, arguments='{"location": "Seoul", "unit": "celsius"}') == []
