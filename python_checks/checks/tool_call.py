"""The guide's tool call (4.1), judged on its four points (4.3) and more, and the turn with the result."""

import argparse
import json
from dataclasses import replace
from typing import Any

from python_checks import options as opt
from python_checks.harmony import REMEDY, leak
from python_checks.openai import answer_faults, ask, choice
from python_checks.result import CheckError, Fault, Result, conclude, shorten

NEEDS: tuple[str, ...] = ("requests", "jsonschema")

TIMEOUT = 120.0
PROMPT = {"role": "user", "content": "서울의 현재 날씨를 알려줘"}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "특정 위치의 현재 날씨를 가져옵니다",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string", "description": "도시 이름 (예: Seoul, Tokyo)"}},
            "required": ["location"],
        },
    },
}
TOOL_RESULT = {"location": "Seoul", "temperature_c": 21, "condition": "맑음"}
FLAGS = (
    "restart vLLM with --enable-auto-tool-choice --tool-call-parser openai "
    "(inventory: vllm_tool_call_parser: openai)"
)
CUT = "raise the limit on new tokens (--max-model-len, or max_new_tokens in generation_config.json)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_url(parser)
    opt.add_model(parser)
    opt.add_timeout(parser, TIMEOUT)


def request(model: str, later: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """Return the guide's request at temperature 0, with the messages of a second turn if given."""
    messages = [PROMPT, *later]
    return {"model": model, "messages": messages, "tools": [TOOL], "tool_choice": "auto", "temperature": 0}


def run(options: argparse.Namespace) -> Result:
    """Ask; if the call is sound, hand in the tool's result and judge the answer."""
    first = choice(ask(options.url, request(options.model), options.timeout))
    faults = judge_call(first, [TOOL])
    message = first["message"]
    evidence = {"finish_reason": first.get("finish_reason"), "tool_calls": message.get("tool_calls")}
    if faults:
        return conclude("tool-call", faults, "", evidence | {"content": message.get("content")})
    calls = message["tool_calls"]
    results = tuple(
        {
            "role": "tool",
            "tool_call_id": call.get("id"),
            "content": json.dumps(TOOL_RESULT, ensure_ascii=False),
        }
        for call in calls
    )
    turn = ({"role": "assistant", "content": None, "tool_calls": calls}, *results)
    try:
        second = choice(ask(options.url, request(options.model, turn), options.timeout))
    except CheckError as error:
        raise CheckError(replace(error.fault, reason=f"second turn: {error.fault.reason}")) from error
    answer = shorten(str(second["message"].get("content")))
    function = calls[0]["function"]
    return conclude(
        "tool-call",
        answer_faults(second, "second turn", ("stop",)),
        f"called {function['name']}({function['arguments']}), then answered {shorten(answer, 40)!r}",
        evidence | {"answer": answer},
    )


def judge_call(first: dict[str, Any], tools: list[dict[str, Any]]) -> list[Fault]:
    """Return every broken point of a reply that must call one of `tools` (choice auto)."""
    message, finish = first["message"], first.get("finish_reason")
    calls, content = message.get("tool_calls"), message.get("content")
    faults = []
    if finish == "length":
        faults.append(Fault("the call is cut (finish_reason length)", CUT))
    elif finish != "tool_calls":
        faults.append(Fault(f"finish_reason is {finish}, wanted tool_calls", FLAGS))
    if not isinstance(calls, list) or not calls:
        faults.insert(
            0, Fault(f"no tool call: tool_calls is {json.dumps(calls)}, content is {_quote(content)}", FLAGS)
        )
    elif content not in (None, ""):
        faults.append(Fault(f"content beside the call is {_quote(content)}, wanted null", FLAGS))
    if leak(content):
        faults.append(Fault(f"Harmony token {leak(content)} leaks into content", REMEDY))
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            faults += _judge_function(function, tools)
        else:
            faults.append(Fault(f"tool call without a function: {_quote(call)}", FLAGS))
    return faults


def _judge_function(function: dict[str, Any], tools: list[dict[str, Any]]) -> list[Fault]:
    """Judge the name and the arguments of one call."""
    name, arguments = function.get("name"), function.get("arguments")
    for part, text in (("the tool's name", name), ("arguments", arguments)):
        if leak(text):
            return [Fault(f"Harmony token {leak(text)} leaks into {part}: {_quote(text)}", REMEDY)]
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    if name not in schemas:
        words = f"called {_quote(name)}, which was not offered; offered: {', '.join(schemas)}"
        return [
            Fault(
                words, "the model invents tools: check that the weights and the chat template are gpt-oss's"
            )
        ]
    if not isinstance(arguments, str) or not arguments.strip():
        return [Fault(f"{name}: arguments are empty, the call is cut", CUT)]
    try:
        values = json.loads(arguments)
    except json.JSONDecodeError as error:
        if error.msg.startswith("Unterminated") or error.pos >= len(arguments):
            return [Fault(f"{name}: arguments end too early, the call is cut: {_quote(arguments)}", CUT)]
        return [Fault(f"{name}: arguments are no valid JSON ({error}): {_quote(arguments)}", FLAGS)]
    return _judge_values(str(name), values, schemas[name])


def _judge_values(name: str, values: object, schema: dict[str, Any]) -> list[Fault]:
    """Judge arguments by the tool's schema; unknown ones are its matter, empty ones are a fault."""
    from jsonschema import Draft202012Validator  # 0.3 s: loaded only where a schema is judged

    remedy = "bind the arguments: --tool-strict-level parameter, or strict: true in the tool (vLLM >= 0.25)"
    faults = [
        Fault(f"{name}: arguments break the schema: {shorten(error.message)}", remedy)
        for error in Draft202012Validator(schema).iter_errors(values)
    ]
    required = schema.get("required", [])
    empty = [key for key in required if isinstance(values, dict) and values.get(key) in ("", None)]
    if not faults and empty:
        faults.append(Fault(f"{name}: argument {', '.join(empty)} is empty", remedy))
    return faults


def _quote(value: object) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), 80)
