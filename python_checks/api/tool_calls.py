"""Judges of a tool call in a chat completion: by the guide's four points (4.3), the tool's schema, and for raw Harmony text."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from python_checks.api import garbled, harmony, json_text
from python_checks.api.openai import CHANGED, CUT, ENDS, UPDATE, end_of
from python_checks.core.result import Fault, shorten
from python_checks.core.say import count, joined, say

Tool = dict[str, Any]

FLAGS = say(
    "restart vLLM with --enable-auto-tool-choice --tool-call-parser openai (inventory: "
    "vllm_tool_call_parser: openai)"
)
# A call came, so the flags are set.
WRITTEN = say("the model or vLLM's parser wrote it so: {update}", update=UPDATE)
IDS = say("the agent cannot hand in the tool's result: {update}", update=UPDATE)
BETWEEN = say("a gateway rewrites the reply, or it is another server than vLLM: {changed}", changed=CHANGED)
TWICE = say(
    "the wrong tool parser (gpt-oss's is openai), or a gateway, encodes them once more: {changed}",
    changed=CHANGED,
)
INVENTED = say("the model invents tools: check that the weights and the chat template are gpt-oss's")
BIND = say("bind the arguments: --tool-strict-level parameter, or strict: true in the tool (vLLM >= 0.25)")
KINDS = {dict: say("an object"), list: say("a list"), bool: say("true or false")}
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
        nonsense := garbled.fault(message | ({"content": None} if brief else {}), say("tool call"))
    ):
        return [nonsense]
    faults = (
        []
        if calls
        else [
            Fault(
                say(
                    "no tool call: tool_calls is {found}, content is {content}",
                    found=_quote(found),
                    content=_quote(content),
                ),
                "",
            )
        ]
    )
    if finish == "length":
        faults.append(Fault(say("the call is cut (finish_reason length)"), CUT))
    elif finish not in finishes:
        fitting = WRITTEN if calls else ""
        faults.append(
            Fault(
                say(
                    "finish_reason is {finish}, wanted {finishes}",
                    finish=finish,
                    finishes=joined(say(" or "), finishes),
                ),
                ENDS.get(finish, fitting),
            )
        )
    if token := harmony.leak(content):
        faults.append(
            Fault(
                say("Harmony token {token} leaks into content", token=token),
                harmony.LEFT if calls else harmony.REMEDY,
            )
        )
    elif own_text:
        faults.append(
            Fault(
                say("content beside the call is {content}, the call's own text", content=_quote(content)),
                WRITTEN,
            )
        )
    elif content is not None and not isinstance(content, str):
        faults.append(Fault(say("content is no string: {content}", content=_quote(content)), BETWEEN))
    if found and not calls:
        faults.append(Fault(say("tool_calls is no list"), BETWEEN))
    elif message.get("function_call") and not calls:
        faults.append(Fault(say("the call came as function_call, which OpenAI's API had before"), BETWEEN))
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
            faults.append(Fault(say("tool call without a function: {call}", call=_quote(call)), WRITTEN))
    if len(calls) > MOST:
        many = count(len(calls), "{number} tool call in one reply", "{number} tool calls in one reply")
        faults.append(Fault(many, WRITTEN))
    return faults + judge_ids([call.get("id") for call in calls[:MOST] if isinstance(call, dict)])


def judge_ids(ids: Sequence[object]) -> list[Fault]:
    """Return what is wrong with the ids of calls: a client hands a result in by the id."""
    faults = [
        Fault(say("tool call without an id: {id}", id=_quote(id_)), IDS) for id_ in ids if not _is_id(id_)
    ]
    twice = [id_ for id_, number in Counter(filter(_is_id, ids)).items() if number > 1]
    return faults + [
        Fault(say("id {id} is given to more than one tool call", id=_quote(id_)), IDS) for id_ in twice
    ]


def _is_id(value: object) -> bool:
    return isinstance(value, str) and not garbled.says_nothing(value)


def _judge_function(function: dict[str, Any], tools: Sequence[Tool]) -> list[Fault]:
    """Judge the name and the arguments of one call."""
    name, arguments = function.get("name"), function.get("arguments")
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    if not isinstance(name, str):
        return [Fault(say("tool call without a name: {name}", name=_quote(name)), WRITTEN)]
    if name not in schemas:
        return [_judge_name(name, frozenset(schemas))]
    if token := harmony.leak(arguments):
        return [
            Fault(
                say(
                    "Harmony token {token} leaks into arguments: {arguments}",
                    token=token,
                    arguments=_quote(arguments),
                ),
                harmony.LEFT,
            )
        ]
    if arguments is not None and not isinstance(arguments, str):
        kind = KINDS.get(type(arguments), say("a number"))
        return [
            Fault(
                say(
                    "{name}: arguments are {kind}, wanted a string of JSON: {arguments}",
                    name=name,
                    kind=kind,
                    arguments=_quote(arguments),
                ),
                BETWEEN,
            )
        ]
    if arguments is None or garbled.says_nothing(arguments):
        return [Fault(say("{name}: arguments are empty, the call is cut", name=name), CUT)]
    try:
        values = json_text.loads(arguments)
    except ValueError as error:
        return [_judge_broken(name, arguments, error)]
    if isinstance(values, str) and _is_json(values):
        return [
            Fault(
                say(
                    "{name}: arguments are encoded twice: {arguments}", name=name, arguments=_quote(arguments)
                ),
                TWICE,
            )
        ]
    return _judge_values(name, values, schemas[name])


def _judge_name(name: str, offered: frozenset[str]) -> Fault:
    """Fault a name that was not offered."""
    words = say(
        "called {name}, which was not offered; offered: {offered}",
        name=_quote(name),
        offered=", ".join(offered),
    )
    if name.startswith(harmony.PREFIX) and name.removeprefix(harmony.PREFIX) in offered:
        words = say(
            "called {name}, which is Harmony's address of the tool: the parser did not strip it",
            name=_quote(name),
        )
        return Fault(words, UPDATE)
    if token := harmony.leak_of_name(name, offered):
        return Fault(
            say("Harmony token {token} leaks into the tool's name: {name}", token=token, name=_quote(name)),
            harmony.LEFT,
        )
    return Fault(words, WRITTEN if not name.strip() or name.strip() in offered else INVENTED)


def _judge_broken(name: str, arguments: str, error: ValueError) -> Fault:
    """Fault arguments that a client cannot parse."""
    if not isinstance(error, json.JSONDecodeError):
        return Fault(
            say(
                "{name}: arguments are JSON that clients refuse, {error}: {arguments}",
                name=name,
                error=error,
                arguments=_quote(arguments),
            ),
            WRITTEN,
        )
    if error.msg.startswith("Unterminated") or error.pos >= len(arguments):
        return Fault(
            say(
                "{name}: arguments end too early, the call is cut: {arguments}",
                name=name,
                arguments=_quote(arguments),
            ),
            CUT,
        )
    if error.msg == "Extra data" and arguments[: error.pos].strip() == arguments[error.pos :].strip():
        return Fault(
            say("{name}: arguments come twice: {arguments}", name=name, arguments=_quote(arguments)), WRITTEN
        )
    return Fault(
        say(
            "{name}: arguments are no valid JSON ({error}): {arguments}",
            name=name,
            error=error,
            arguments=_quote(arguments),
        ),
        WRITTEN,
    )


def _judge_values(name: str, values: object, schema: dict[str, Any]) -> list[Fault]:
    """Judge arguments by the tool's schema; unknown ones are its matter, empty ones are a fault."""
    from jsonschema import Draft202012Validator  # 0.3 s: loaded only where a schema is judged

    faults = [
        Fault(
            say("{name}: arguments break the schema: {message}", name=name, message=shorten(error.message)),
            BIND,
        )
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
        return [Fault(say("{name}: argument {names} is empty", name=name, names=", ".join(empty)), BIND)]
    odd = {key: garbled.nonsense(value) for key, value in given.items() if isinstance(value, str)}
    return [
        Fault(
            say(
                "{name}: argument {key} is nonsense: {why}: {given}",
                name=name,
                key=key,
                why=why,
                given=_quote(given[key]),
            ),
            garbled.REMEDY,
        )
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
