"""Judges of single cases of the conformance matrix; the tool call itself is judged in api/tool_replies.py."""

import json
from collections.abc import Sequence
from typing import Any

from python_checks.api import keys
from python_checks.api.http import Reply, refusal
from python_checks.api.openai import CUT, answer_faults, end_of
from python_checks.api.tool_calls import judge_calls
from python_checks.core.result import Fault, State, shorten
from python_checks.core.say import count, say

# Enumerations, a number, a nested object, words that are no ASCII; `strict` binds the arguments to it. Only what every model writes is
# required: a tiny one may write blanks between further arguments for ever, which JSON allows.
STRICT: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "특정 위치의 날씨를 가져옵니다",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {
                "location": {"type": "string", "enum": ["서울", "부산", "제주"]},
                "days": {"type": "integer", "enum": [0, 1, 2, 3]},
                "detail": {
                    "type": "object",
                    "properties": {
                        "part": {"type": "string", "enum": ["아침", "저녁"]},
                        "wind": {"type": "boolean"},
                    },
                    "required": ["part"],
                    "additionalProperties": False,
                },
            },
            "required": ["location"],
            "additionalProperties": False,
        },
    },
}
STRICT_PROMPT = {"role": "user", "content": "이틀 뒤 아침 서울의 날씨를 바람까지 알려줘"}
NAMED = {"type": "function", "function": {"name": "get_weather"}}
CHOICES: dict[str, Any] = {"auto": "auto", "required": "required", "named": NAMED, "none": "none"}
SYSTEM = (
    "You are the assistant of a company. Answer in the language of the question, in one short "
    "sentence, and only from what the tools return. Never guess a number, a date or a name; say "
    "that you do not know."
)
UPDATE = say("see what changes the request on its way, or update vLLM")


def judge_none(first: dict[str, Any]) -> list[Fault]:
    """Accept words: with tool_choice none no tool may be called."""
    if called := first["message"].get("tool_calls"):
        return [_called(called)]
    return answer_faults(first, "none")


def judge_no_calls(calls: Sequence[dict[str, Any]]) -> list[Fault]:
    """Refuse any call of a reply to tool_choice none."""
    return [_called(calls)] if calls else []


def _called(calls: object) -> Fault:
    words = say(
        "a tool was called although tool_choice is none: {calls}",
        calls=shorten(json.dumps(calls, ensure_ascii=False), 80),
    )
    return Fault(
        words, say("an agent that ends its loop with none loops on: leave the tools out of that request")
    )


def judge_refusal(reply: Reply, status: int, what: str) -> list[Fault]:
    """Accept a refusal with `status`, with words that say why."""
    if reply.status == status and refusal(reply) != "empty body":
        return []
    words = shorten(reply.text) or say("empty body")
    remedy = keys.REMEDY if reply.status in keys.REFUSED else UPDATE
    return [
        Fault(
            say(
                "HTTP {status} for {what}, wanted {wanted}: {words}",
                status=reply.status,
                what=what,
                wanted=status,
                words=words,
            ),
            remedy,
        )
    ]


def judge_same(plain: Sequence[dict[str, Any]], streamed: Sequence[dict[str, Any]]) -> list[Fault]:
    """Compare the calls of a plain and of a streamed reply to the same request at temperature 0."""
    one, other = (
        [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
        for calls in (plain, streamed)
    )
    if one == other:
        return []
    words = say("the streamed call {other} is not the plain one {one}", other=other, one=one)
    remedy = say(
        "run it again: under load vLLM computes in other batches and may choose otherwise; else deltas "
        "are lost on the way"
    )
    return [Fault(words, remedy, State.WARNING)]


def judge_system(without: dict[str, Any], with_it: dict[str, Any]) -> list[Fault]:
    """Compare the tokens of a prompt without and with SYSTEM, of which each word is one at least."""
    words, more = len(SYSTEM.split()), with_it["prompt_tokens"] - without["prompt_tokens"]
    if more >= words:
        return []
    reason = count(
        more,
        "the system prompt is dropped: its {words} words make the prompt {number} token longer",
        "the system prompt is dropped: its {words} words make the prompt {number} tokens longer",
        words=words,
    )
    return [Fault(reason, say("the chat template or what lies between loses it: {update}", update=UPDATE))]


def judge_cut(first: dict[str, Any], tools: Sequence[dict[str, Any]], limit: int) -> list[Fault]:
    """Accept finish_reason length of a reply whose `limit` of tokens ends in the middle of the call."""
    finish, calls = end_of(first), first["message"].get("tool_calls")
    if finish == "length":
        return []
    if isinstance(calls, list) and calls and not judge_calls(calls, tools):
        words = say("the call was not cut by max_tokens {limit}, so nothing was judged", limit=limit)
        return [Fault(words, say("run it again"), State.UNKNOWN)]
    words = say(
        "max_tokens {limit} cuts the call, and the reply does not say so: finish_reason {finish}",
        limit=limit,
        finish=finish,
    )
    return [Fault(words, say("a client must parse the arguments before it trusts a call; {cut}", cut=CUT))]
