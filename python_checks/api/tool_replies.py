"""Judge of a chat completion that must call a tool: by the guide's four points (4.3), and for raw Harmony text."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from python_checks.api import garbled, harmony
from python_checks.api.openai import CUT, ENDS, end_of
from python_checks.api.tool_calls import BETWEEN, WRITTEN, Tool, is_json, judge_calls, quote
from python_checks.core.result import Fault
from python_checks.core.say import joined, say

FLAGS = say(
    "restart vLLM with --enable-auto-tool-choice --tool-call-parser openai (inventory: "
    "vllm_tool_call_parser: openai)"
)
BRIEF = 8  # characters


def judge_call(
    first: dict[str, Any], tools: Sequence[Tool], finishes: Sequence[str] = ("tool_calls",)
) -> list[Fault]:
    """Return every broken point of a choice that must call one of `tools` and end with one of `finishes`."""
    message = first["message"]
    found, content = message.get("tool_calls"), message.get("content")
    calls = found if isinstance(found, list) else []
    own_text = bool(calls) and isinstance(content, str) and is_json(content)
    # Beside a call blanks or a few dots are nothing; as all that came they are what the engine wrote.
    brief = bool(calls) and isinstance(content, str) and len(content.strip()) < BRIEF
    if not own_text and (
        nonsense := garbled.fault(message | ({"content": None} if brief else {}), say("tool call"))
    ):
        return [nonsense]
    faults = [
        *_judge_end(end_of(first), finishes, bool(calls)),
        *_judge_content(content, own_text, bool(calls)),
        *([] if calls else _judge_place(message)),
    ]
    if not calls:
        words = say(
            "no tool call: tool_calls is {found}, content is {content}",
            found=quote(found),
            content=quote(content),
        )
        faults.insert(0, Fault(words, ""))
    # What nothing else explains the flags do.
    why = next((fault.remedy for fault in faults if fault.remedy), FLAGS)
    return [fault if fault.remedy else replace(fault, remedy=why) for fault in faults] + judge_calls(
        calls, tools
    )


def _judge_end(finish: str, finishes: Sequence[str], called: bool) -> list[Fault]:
    if finish == "length":
        return [Fault(say("the call is cut (finish_reason length)"), CUT)]
    if finish in finishes:
        return []
    wanted = joined(say(" or "), finishes)
    words = say("finish_reason is {finish}, wanted {finishes}", finish=finish, finishes=wanted)
    return [Fault(words, ENDS.get(finish, WRITTEN if called else ""))]


def _judge_content(content: object, own_text: bool, called: bool) -> list[Fault]:
    """Judge what stands beside a call, or in its place."""
    if token := harmony.leak(content):
        words = say("Harmony token {token} leaks into content", token=token)
        return [Fault(words, harmony.LEFT if called else harmony.REMEDY)]
    if own_text:
        words = say("content beside the call is {content}, the call's own text", content=quote(content))
        return [Fault(words, WRITTEN)]
    if content is not None and not isinstance(content, str):
        return [Fault(say("content is no string: {content}", content=quote(content)), BETWEEN)]
    return []


def _judge_place(message: dict[str, Any]) -> list[Fault]:
    """Judge a call that came in another form than a list of tool calls."""
    if message.get("tool_calls"):
        return [Fault(say("tool_calls is no list"), BETWEEN)]
    if message.get("function_call"):
        return [Fault(say("the call came as function_call, which OpenAI's API had before"), BETWEEN)]
    return []
