"""Judges of the calls in a reply: function, name, id, and arguments by the tool's schema, and for raw Harmony text."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from python_checks.api import garbled, harmony, json_text
from python_checks.api.openai import CHANGED, CUT, UPDATE
from python_checks.core.result import Fault, shorten
from python_checks.core.say import count, msg, say

Tool = dict[str, Any]

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
MOST = 16  # calls of a reply that are judged; gpt-oss makes one


def judge_calls(calls: Sequence[Any], tools: Sequence[Tool]) -> list[Fault]:
    """Return every broken point of the calls of one reply: function, name, arguments, id."""
    faults = []
    for call in calls[:MOST]:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            faults += _judge_function(function, tools)
        else:
            faults.append(Fault(say("tool call without a function: {call}", call=quote(call)), WRITTEN))
    if len(calls) > MOST:
        many = count(len(calls), "{number} tool call in one reply", "{number} tool calls in one reply")
        faults.append(Fault(many, WRITTEN))
    return faults + judge_ids([call.get("id") for call in calls[:MOST] if isinstance(call, dict)])


def judge_ids(ids: Sequence[object]) -> list[Fault]:
    """Return what is wrong with the ids of calls: a client hands a result in by the id."""
    faults = [
        Fault(say("tool call without an id: {id}", id=quote(id_)), IDS) for id_ in ids if not _is_id(id_)
    ]
    twice = [id_ for id_, number in Counter(filter(_is_id, ids)).items() if number > 1]
    return faults + [
        Fault(say("id {id} is given to more than one tool call", id=quote(id_)), IDS) for id_ in twice
    ]


def _is_id(value: object) -> bool:
    return isinstance(value, str) and not garbled.says_nothing(value)


def _judge_function(function: dict[str, Any], tools: Sequence[Tool]) -> list[Fault]:
    """Judge the name and the arguments of one call."""
    name, arguments = function.get("name"), function.get("arguments")
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    if not isinstance(name, str):
        return [Fault(say("tool call without a name: {name}", name=quote(name)), WRITTEN)]
    if name not in schemas:
        return [_judge_name(name, frozenset(schemas))]
    quoted = quote(arguments)
    if token := harmony.leak(arguments):
        words = say("Harmony token {token} leaks into arguments: {arguments}", token=token, arguments=quoted)
        return [Fault(words, harmony.LEFT)]
    if arguments is not None and not isinstance(arguments, str):
        kind = KINDS.get(type(arguments), say("a number"))
        words = say(
            "{name}: arguments are {kind}, wanted a string of JSON: {arguments}",
            name=name,
            kind=kind,
            arguments=quoted,
        )
        return [Fault(words, BETWEEN)]
    if arguments is None or garbled.says_nothing(arguments):
        return [Fault(say("{name}: arguments are empty, the call is cut", name=name), CUT)]
    try:
        values = json_text.loads(arguments)
    except ValueError as error:
        return [_judge_broken(name, arguments, error)]
    if isinstance(values, str) and is_json(values):
        words = say("{name}: arguments are encoded twice: {arguments}", name=name, arguments=quoted)
        return [Fault(words, TWICE)]
    return _judge_values(name, values, schemas[name])


def _judge_name(name: str, offered: frozenset[str]) -> Fault:
    """Fault a name that was not offered."""
    words = say(
        "called {name}, which was not offered; offered: {offered}",
        name=quote(name),
        offered=", ".join(offered),
    )
    if name.startswith(harmony.PREFIX) and name.removeprefix(harmony.PREFIX) in offered:
        words = say(
            "called {name}, which is Harmony's address of the tool: the parser did not strip it",
            name=quote(name),
        )
        return Fault(words, UPDATE)
    if token := harmony.leak_of_name(name, offered):
        return Fault(
            say("Harmony token {token} leaks into the tool's name: {name}", token=token, name=quote(name)),
            harmony.LEFT,
        )
    return Fault(words, WRITTEN if not name.strip() or name.strip() in offered else INVENTED)


def _judge_broken(name: str, arguments: str, error: ValueError) -> Fault:
    """Fault arguments that a client cannot parse."""
    words, remedy = msg("{name}: arguments are no valid JSON ({error}): {arguments}"), WRITTEN
    if not isinstance(error, json.JSONDecodeError):
        words = msg("{name}: arguments are JSON that clients refuse, {error}: {arguments}")
    elif error.msg.startswith("Unterminated") or error.pos >= len(arguments):
        words, remedy = msg("{name}: arguments end too early, the call is cut: {arguments}"), CUT
    elif error.msg == "Extra data" and arguments[: error.pos].strip() == arguments[error.pos :].strip():
        words = msg("{name}: arguments come twice: {arguments}")
    return Fault(say(words, name=name, error=error, arguments=quote(arguments)), remedy)


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
                given=quote(given[key]),
            ),
            garbled.REMEDY,
        )
        for key, why in odd.items()
        if why
    ]


def is_json(text: str) -> bool:
    """Tell whether a text is an object or a list of JSON, or one that is encoded as a string of it."""
    try:
        value = json_text.loads(text)
    except ValueError:
        return False
    return isinstance(value, dict | list) or (isinstance(value, str) and is_json(value))


def quote(value: object) -> str:
    """Return a value as JSON, shortened."""
    return shorten(json.dumps(value, ensure_ascii=False), 80)
