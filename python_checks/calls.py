"""Judges of a tool call in a chat completion: by the guide's four points (4.3), the tool's schema, and for raw Harmony text."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from python_checks.harmony import REMEDY, leak
from python_checks.result import Fault, shorten

Tool = dict[str, Any]

FLAGS = (
    "restart vLLM with --enable-auto-tool-choice --tool-call-parser openai "
    "(inventory: vllm_tool_call_parser: openai)"
)
IDS = "the agent cannot hand in the tool's result: update vLLM, or see what changes the reply on its way"
CUT = "raise the limit on new tokens (--max-model-len, or max_new_tokens in generation_config.json)"


def judge_call(
    first: dict[str, Any], tools: Sequence[Tool], finishes: Sequence[str] = ("tool_calls",)
) -> list[Fault]:
    """Return every broken point of a choice that must call one of `tools` and end with one of `finishes`."""
    message, finish = first["message"], first.get("finish_reason")
    calls, content = message.get("tool_calls"), message.get("content")
    faults = []
    if finish == "length":
        faults.append(Fault("the call is cut (finish_reason length)", CUT))
    elif finish not in finishes:
        faults.append(Fault(f"finish_reason is {finish}, wanted {' or '.join(finishes)}", FLAGS))
    if not isinstance(calls, list) or not calls:
        faults.insert(
            0, Fault(f"no tool call: tool_calls is {json.dumps(calls)}, content is {_quote(content)}", FLAGS)
        )
    elif content not in (None, ""):
        faults.append(Fault(f"content beside the call is {_quote(content)}, wanted null", FLAGS))
    if leak(content):
        faults.append(Fault(f"Harmony token {leak(content)} leaks into content", REMEDY))
    return faults + judge_calls(calls if isinstance(calls, list) else [], tools)


def judge_calls(calls: Sequence[Any], tools: Sequence[Tool]) -> list[Fault]:
    """Return every broken point of the calls of one reply: function, name, arguments, id."""
    faults = []
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            faults += _judge_function(function, tools)
        else:
            faults.append(Fault(f"tool call without a function: {_quote(call)}", FLAGS))
    return faults + judge_ids([call.get("id") for call in calls if isinstance(call, dict)])


def judge_ids(ids: Sequence[object]) -> list[Fault]:
    """Return what is wrong with the ids of calls: a client hands a result in by the id."""
    faults = [Fault(f"tool call without an id: {_quote(id_)}", IDS) for id_ in ids if not _is_id(id_)]
    twice = [id_ for id_, number in Counter(filter(_is_id, ids)).items() if number > 1]
    return faults + [Fault(f"id {_quote(id_)} is given to more than one tool call", IDS) for id_ in twice]


def _is_id(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _judge_function(function: dict[str, Any], tools: Sequence[Tool]) -> list[Fault]:
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
