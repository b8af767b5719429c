"""The same requests to vLLM itself and through what stands before it: no field dropped, none merged, the same events."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from python_checks.api import stream, weather
from python_checks.api.http import Reply, fetch
from python_checks.api.openai import PATH
from python_checks.conformance import responses
from python_checks.core.result import Fault, shorten
from python_checks.core.say import Said, joined, say

REMEDY = say("what stands between changes replies: see its configuration; vLLM's own are right")
# What differs between any two replies of one server.
OWN = (
    "id",
    "created",
    "created_at",
    "call_id",
    "item_id",
    "response_id",
    "completed_at",
    "encrypted_content",
)
LONGEST = 5  # differences that are named


@dataclass(frozen=True)
class Seen:
    """What a client sees of a reply: its status, and its JSON, or its events by name and data."""

    status: int
    data: Any
    events: tuple[tuple[str, Any], ...] = ()


def cases(model: str) -> dict[str, Callable[[str, float], Seen]]:
    """Return what is asked, by name: each takes a base URL and seconds."""
    chat = weather.request(model) | {"temperature": 0, "seed": 1}
    words = {
        "model": model,
        "messages": [{"role": "user", "content": "Hello"}],
        "temperature": 0,
        "seed": 1,
        "max_tokens": 32,
    }
    given = {"model": model, "input": "Hello", "temperature": 0, "max_output_tokens": 32}

    def plain(path: str, body: Mapping[str, Any] | None) -> Callable[[str, float], Seen]:
        return lambda base, timeout: of(fetch("POST" if body else "GET", base + path, timeout, body))

    def streamed(body: dict[str, Any]) -> Callable[[str, float], Seen]:
        return lambda base, timeout: of(stream.read(base + PATH, body, timeout))

    return {
        "models": plain("/v1/models", None),
        "chat": plain(PATH, words),
        "chat-stream": streamed(words),
        "tool-call": plain(PATH, chat),
        "tool-call-stream": streamed(chat),
        "logprobs": plain(PATH, words | {"logprobs": True, "top_logprobs": 2}),
        "responses": plain(responses.PATH, given),
        "unknown-model": plain(PATH, words | {"model": "no-such-model"}),
        "bad-request": plain(PATH, {"model": model, "messages": "none"}),
    }


def of(reply: Reply) -> Seen:
    """Return what is compared of a reply."""
    events = reply.events if isinstance(reply, stream.Streamed) else ()
    return Seen(reply.status, reply.data, tuple((event.name, event.data or event.text) for event in events))


def judge(direct: Seen, through: Seen) -> list[Fault]:
    """Fault what differs, field by field."""
    if direct.status != through.status:
        reason = say("the status is {one}, and through it {other}", one=direct.status, other=through.status)
        return [Fault(reason, REMEDY)]
    found = list(differences(direct.data, through.data, "reply"))
    if len(direct.events) != len(through.events):
        found.append(
            say("{one} events are {other} through it", one=len(direct.events), other=len(through.events))
        )
    else:
        for number, (one, other) in enumerate(zip(direct.events, through.events, strict=True)):
            found += differences(list(one), list(other), f"event {number}")
    named = found[:LONGEST]
    if len(found) > LONGEST:
        named.append(say("{number} more", number=len(found) - LONGEST))
    return [Fault(joined("; ", named), REMEDY)] if found else []


def differences(direct: Any, through: Any, where: str) -> Iterator[Said]:
    """Yield where two values differ; of what is a server's own for each reply, only whether it is there."""
    if isinstance(direct, dict) and isinstance(through, dict):
        for name in direct.keys() - through.keys():
            yield say("{place}.{name} is dropped", place=where, name=name)
        for name in through.keys() - direct.keys():
            yield say("{place}.{name} is added", place=where, name=name)
        for name in direct.keys() & through.keys():
            if name not in OWN or type(direct[name]) is not type(through[name]):
                yield from differences(direct[name], through[name], f"{where}.{name}")
    elif isinstance(direct, list) and isinstance(through, list) and len(direct) == len(through):
        for number, (one, other) in enumerate(zip(direct, through, strict=True)):
            yield from differences(one, other, f"{where}[{number}]")
    elif direct != through:
        yield say(
            "{place} is {one}, and through it {other}",
            place=where,
            one=shorten(repr(direct), 60),
            other=shorten(repr(through), 60),
        )
