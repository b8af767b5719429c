"""Judges of a tool call in a chat completion: by the guide's four points (4.3), the tool's schema, and for raw Harmony text."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from python_checks.api import garbled, harmony, json_text
from python_checks.api.openai import CHANGED, CUT, ENDS, UPDATE, end_of
from python_checks.core.result import Fault, shorten

Tool = dict[str, Any]

FLAGS = (
    "restart vLLM with --enable-auto-tool-choice --tool-call-parser openai "
    "(inventory: vllm_tool_call_parser: openai)"
)
# A call came, so the flags are set.
WRITTEN = f"the model or vLLM's parser wrote it so: {UPDATE}"
IDS = f"the agent cannot hand in the tool's result: {UPDATE}"
BETWEEN = f"a gateway rewrites the reply, or it is another server than vLLM: {CHANGED}"
TWICE = f"the wrong tool parser (gpt-oss's is openai), or a gateway, encodes them once more: {CHANGED}"
INVENTED = "the model invents tools: check that the weights and the chat template are gpt-oss's"
BIND = "bind the arguments: --tool-strict-level parameter, or strict: true in the tool (vLLM >= 0.25)"
KINDS = {dict: "an object", list: "a list", bool: "true or false"}
BRIEF = 8  # characters
MOST = 16  # calls of a reply that are judged; gpt-oss makes one


def judge_call(
    first: dict[str, Any], tools: Sequence[Tool], finishes: Sequence[str] = ("tool_calls",)
) -> list[Fault]:
    """Return every broken point of a choice that must call one of `tools` and end with one of `finishes`."""
    message, finish = first["message"], end_of(first)
    found, content = message.get("tool_calls"), message.get("content")
    calls = found if isinstance(found, list) else []
    own_text = bool(calls) and isinstance(content, str) and _is_json(content)
    # Beside a call blanks or a few dots are nothing; as all that came they are what the engine wrote.
    brief = bool(calls) and isinstance(content, str) and len(content.strip()) < BRIEF
    if not own_text and (
        nonsense := garbled.fault(message | ({"content": None} if brief else {}), "tool call")
    ):
        return [nonsense]
    faults = (
        []
        if calls
        else [Fault(f"no tool call: tool_calls is {_quote(found)}, content is {_quote(content)}", "")]
    )
    if finish == "length":
        faults.append(Fault("the call is cut (finish_reason length)", CUT))
    elif finish not in finishes:
        fitting = WRITTEN if calls else ""
        faults.append(
            Fault(f"finish_reason is {finish}, wanted {' or '.join(finishes)}", ENDS.get(finish, fitting))
        )
    if token := harmony.leak(content):
        faults.append(
            Fault(f"Harmony token {token} leaks into content", harmony.LEFT if calls else harmony.REMEDY)
        )
    elif own_text:
        faults.append(Fault(f"content beside the call is {_quote(content)}, the call's own text", WRITTEN))
    elif content is not None and not isinstance(content, str):
        faults.append(Fault(f"content is no string: {_quote(content)}", BETWEEN))
    if found and not calls:
        faults.append(Fault("tool_calls is no list", BETWEEN))
    elif message.get("function_call") and not calls:
        faults.append(Fault("the call came as function_call, which OpenAI's API had before", BETWEEN))
    why = next(
        (fault.remedy for fault in faults if fault.remedy), FLAGS
    )  # where nothing else explains why none came
    return [fault if fault.remedy else replace(fault, remedy=why) for fault in faults] + judge_calls(
        calls, tools
    )


def judge_calls(calls: Sequence[Any], tools: Sequence[Tool]) -> list[Fault]:
    """Return every broken point of the calls of one reply: function, name, arguments, id."""
    faults = []
    for call in calls[:MOST]:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            faults += _judge_function(function, tools)
        else:
            faults.append(Fault(f"tool call without a function: {_quote(call)}", WRITTEN))
    if len(calls) > MOST:
        faults.append(Fault(f"{len(calls)} tool calls in one reply", WRITTEN))
    return faults + judge_ids([call.get("id") for call in calls[:MOST] if isinstance(call, dict)])


def judge_ids(ids: Sequence[object]) -> list[Fault]:
    """Return what is wrong with the ids of calls: a client hands a result in by the id."""
    faults = [Fault(f"tool call without an id: {_quote(id_)}", IDS) for id_ in ids if not _is_id(id_)]
    twice = [id_ for id_, number in Counter(filter(_is_id, ids)).items() if number > 1]
    return faults + [Fault(f"id {_quote(id_)} is given to more than one tool call", IDS) for id_ in twice]


def _is_id(value: object) -> bool:
    return isinstance(value, str) and not garbled.says_nothing(value)


def _judge_function(function: dict[str, Any], tools: Sequence[Tool]) -> list[Fault]:
    """Judge the name and the arguments of one call."""
    name, arguments = function.get("name"), function.get("arguments")
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    if not isinstance(name, str):
        return [Fault(f"tool call without a name: {_quote(name)}", WRITTEN)]
    if name not in schemas:
        return [_judge_name(name, frozenset(schemas))]
    if token := harmony.leak(arguments):
        return [Fault(f"Harmony token {token} leaks into arguments: {_quote(arguments)}", harmony.LEFT)]
    if arguments is not None and not isinstance(arguments, str):
        kind = KINDS.get(type(arguments), "a number")
        return [Fault(f"{name}: arguments are {kind}, wanted a string of JSON: {_quote(arguments)}", BETWEEN)]
    if arguments is None or garbled.says_nothing(arguments):
        return [Fault(f"{name}: arguments are empty, the call is cut", CUT)]
    try:
        values = json_text.loads(arguments)
    except ValueError as error:
        return [_judge_broken(name, arguments, error)]
    if isinstance(values, str) and _is_json(values):
        return [Fault(f"{name}: arguments are encoded twice: {_quote(arguments)}", TWICE)]
    return _judge_values(name, values, schemas[name])


def _judge_name(name: str, offered: frozenset[str]) -> Fault:
    """Fault a name that was not offered."""
    words = f"called {_quote(name)}, which was not offered; offered: {', '.join(offered)}"
    if name.startswith(harmony.PREFIX) and name.removeprefix(harmony.PREFIX) in offered:
        words = f"called {_quote(name)}, which is Harmony's address of the tool: the parser did not strip it"
        return Fault(words, UPDATE)
    if token := harmony.leak_of_name(name, offered):
        return Fault(f"Harmony token {token} leaks into the tool's name: {_quote(name)}", harmony.LEFT)
    return Fault(words, WRITTEN if not name.strip() or name.strip() in offered else INVENTED)


def _judge_broken(name: str, arguments: str, error: ValueError) -> Fault:
    """Fault arguments that a client cannot parse."""
    if not isinstance(error, json.JSONDecodeError):
        return Fault(f"{name}: arguments are JSON that clients refuse, {error}: {_quote(arguments)}", WRITTEN)
    if error.msg.startswith("Unterminated") or error.pos >= len(arguments):
        return Fault(f"{name}: arguments end too early, the call is cut: {_quote(arguments)}", CUT)
    if error.msg == "Extra data" and arguments[: error.pos].strip() == arguments[error.pos :].strip():
        return Fault(f"{name}: arguments come twice: {_quote(arguments)}", WRITTEN)
    return Fault(f"{name}: arguments are no valid JSON ({error}): {_quote(arguments)}", WRITTEN)


def _judge_values(name: str, values: object, schema: dict[str, Any]) -> list[Fault]:
    """Judge arguments by the tool's schema; unknown ones are its matter, empty ones are a fault."""
    from jsonschema import Draft202012Validator  # 0.3 s: loaded only where a schema is judged

    faults = [
        Fault(f"{name}: arguments break the schema: {shorten(error.message)}", BIND)
        for error in Draft202012Validator(schema).iter_errors(values)
    ]
    if faults or not isinstance(values, dict):
        return faults
    given = {key: values.get(key) for key in schema.get("required", [])}
    empty = [
        key
        for key, value in given.items()
        if value is None or (isinstance(value, str) and garbled.says_nothing(value))
    ]
    if empty:
        return [Fault(f"{name}: argument {', '.join(empty)} is empty", BIND)]
    odd = {key: garbled.nonsense(value) for key, value in given.items() if isinstance(value, str)}
    return [
        Fault(f"{name}: argument {key} is nonsense: {why}: {_quote(given[key])}", garbled.REMEDY)
        for key, why in odd.items()
        if why
    ]


def _is_json(text: str) -> bool:
    """Tell whether a text is an object or a list of JSON, or one that is encoded as a string of it."""
    try:
        value = json_text.loads(text)
    except ValueError:
        return False
    return isinstance(value, dict | list) or (isinstance(value, str) and _is_json(value))


def _quote(value: object) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), 80)
