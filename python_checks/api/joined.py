"""The chunks of a streamed chat completion, joined into the choice that the plain API would give."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from python_checks.api.http import Reply, refusal
from python_checks.api.openai import CHANGED, REMEDIES, choice
from python_checks.api.stream import DONE, ServerEvent, Streamed
from python_checks.core.result import CheckError, Fault, shorten
from python_checks.core.say import Said, joined, say

STREAM = say("ask vLLM itself, past any proxy; if it does the same, see its log for this request")
CALLS = say(
    "update vLLM: several releases stream tool calls wrongly (0.10.2, 0.17.1); to rule out a proxy, "
    "ask vLLM itself"
)


@dataclass(frozen=True)
class Joined:
    """A streamed reply in one piece.

    Attributes:
        choice: As one of the plain API, with `message` and `finish_reason`.
        usage: The count of tokens, empty when none came.
        faults: What is wrong with the stream itself; what the model says is for other judges.
    """

    choice: dict[str, Any]
    usage: dict[str, Any]
    faults: list[Fault]


def accept(streamed: Streamed) -> Joined:
    """Join a streamed reply.

    Raises:
        CheckError: the server refused, or what it sent is no stream.
    """
    if not streamed.events:
        choice(streamed)
        raise CheckError(Fault(say("asked for a stream, got the reply in one piece"), STREAM))
    return join(streamed.events)


def join(events: Iterable[ServerEvent]) -> Joined:
    """Join the events of one stream, which was asked for with its usage."""
    joining = _Joining()
    for event in events:
        joining.add(event)
    return joining.end()


def first_choice(event: ServerEvent) -> dict[str, Any]:
    """Return the first choice of a chunk with its `delta` a dict; empty where there is none."""
    choices = event.data.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) and isinstance(first.get("delta"), dict) else {}


def says(event: ServerEvent, parts: tuple[str, ...] = ("content", "reasoning", "tool_calls")) -> bool:
    """Tell whether a chunk brings something of what the model says, in one of `parts`."""
    delta = first_choice(event).get("delta", {})
    return any(delta.get(part) for part in parts)


class _Joining:
    """What has been joined so far. A fault is kept once, however many chunks have it."""

    def __init__(self) -> None:
        self.role: Any = None
        self.texts: dict[str, list[str]] = {
            "content": [],
            "reasoning": [],
        }  # in pieces: a string would be copied for each
        self.calls: dict[int, dict[str, Any]] = {}
        self.finish: Any = None
        self.usage: dict[str, Any] = {}
        self.done = self.broken = False
        self.heads: dict[str, Any] = {}
        self.faults: dict[str, Fault] = {}

    def note(self, what: Said, detail: str = "", remedy: str = STREAM) -> None:
        self.faults.setdefault(what, Fault(joined("", (what, detail)), remedy))

    def add(self, event: ServerEvent) -> None:
        data, first = event.data, first_choice(event)
        if event.text == DONE:
            self.done = True
        elif event.fault:
            self.broken = True
            self.faults.setdefault(event.fault.reason, event.fault)
        elif data.get("error"):
            self.broken = True
            self.note(
                say("the stream ends in an error: "), refusal(Reply(200, data, event.text)), REMEDIES[500]
            )
        else:
            for key in ("id", "model"):
                known = self.heads.setdefault(key, data.get(key))
                if known != data.get(key):
                    self.note(say("the chunks differ in their {key}", key=key), then(known, data.get(key)))
            if isinstance(data.get("usage"), dict):
                self.usage = data["usage"]
            if first:
                self.add_choice(first, says(event))
            elif not data.get("usage"):
                self.note(say("a chunk holds no choice and no usage: "), shorten(event.text))

    def add_choice(self, first: dict[str, Any], says_more: bool) -> None:
        delta, finish = first["delta"], first.get("finish_reason")
        if self.finish and says_more:
            self.note(say("more follows after finish_reason {finish}", finish=_said(self.finish)))
        if self.finish and finish:
            self.note(say("finish_reason comes twice"), then(self.finish, finish))
        self.finish = self.finish or finish
        self.role = self.role or delta.get("role")
        for part in self.texts:
            if isinstance(delta.get(part), str):
                self.texts[part].append(delta[part])
        pieces = delta.get("tool_calls")
        for piece in pieces if isinstance(pieces, list) else []:
            self.add_call(piece)

    def add_call(self, piece: Any) -> None:
        index = piece.get("index") if isinstance(piece, dict) else None
        if not isinstance(index, int):
            return self.note(say("a piece of a tool call has no index: "), shorten(str(piece)), CALLS)
        if index not in self.calls and index != len(self.calls):
            self.note(
                say(
                    "the index of tool calls jumps to {index}, wanted {wanted}",
                    index=index,
                    wanted=len(self.calls),
                ),
                remedy=CALLS,
            )
        empty: dict[str, Any] = {"id": None, "type": None, "function": {"name": None, "arguments": []}}
        call = self.calls.setdefault(index, empty)
        function = call["function"]
        new = piece["function"] if isinstance(piece.get("function"), dict) else {}
        call["type"] = call["type"] or piece.get("type")
        for place, key, value in ((call, "id", piece.get("id")), (function, "name", new.get("name"))):
            if value and place[key]:
                verb = say("comes again") if value == place[key] else say("changes")
                self.note(
                    say("tool call {index}: its {key} {verb}", index=index, key=key, verb=verb),
                    then(place[key], value),
                    CALLS,
                )
            place[key] = place[key] or value
        arguments = new.get("arguments")
        if arguments and not function["name"]:
            self.note(say("tool call {index}: arguments come before its name", index=index), remedy=CALLS)
        if isinstance(arguments, str):
            function["arguments"].append(arguments)
        elif arguments is not None:
            self.note(
                say("tool call {index}: its arguments are no string", index=index),
                f": {_said(arguments)}",
                CHANGED,
            )

    def end(self) -> Joined:
        calls = [self.calls[index] for index in sorted(self.calls)]
        if not self.broken:  # else what is missing is a consequence
            if not all(call["id"] for call in calls):
                self.note(say("no id came for a tool call"), remedy=CALLS)
            ends = {"role": self.role, "finish_reason": self.finish, "usage": self.usage, DONE: self.done}
            for what in (name for name, came in ends.items() if not came):
                self.note(say("no {what} came", what=what))
        for call in calls:
            call["function"]["arguments"] = "".join(call["function"]["arguments"])
        texts = {part: "".join(pieces) or None for part, pieces in self.texts.items()}
        message = {"role": self.role, **texts, "tool_calls": calls or None}
        first = {"message": message, "finish_reason": self.finish}
        return Joined(first, self.usage, list(self.faults.values()))


def then(before: object, after: object) -> Said:
    """Return two values that should be one."""
    return say(": {before}, then {after}", before=_said(before), after=_said(after))


def _said(value: Any) -> str:
    return shorten(str(value), 60)
