"""What the model of the peer says: whole messages, and the same in the pieces of a stream."""

import json
import re
from collections.abc import Iterator
from typing import Any

MODEL = "gpt-oss-120b"
# As vLLM says it, of a prompt beyond the window and of one that leaves no room for the answer, by the first word of a mode.
TOO_LONG = {
    "window": "This model's maximum context length is 131072 tokens. However, your prompt contains at least 131073 input tokens, which"
    " exceeds this limit even without any output tokens. Please reduce the length of the input prompt.",
    "room": "'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum context length is 131072 tokens and your"
    " request has 128000 input tokens (4096 > 131072 - 128000).",
}
TOPICS = {"휴가": "휴가 정책", "vacation": "vacation policy"}


def _call(name: str, arguments: dict[str, str], text: str | None = None) -> dict[str, Any]:
    function = {"name": name, "arguments": text or json.dumps(arguments, ensure_ascii=False)}
    calls = [{"id": f"chatcmpl-tool-{name}", "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def _say(text: str | None) -> dict[str, Any]:
    return {"role": "assistant", "content": text, "tool_calls": []}


def dangling(messages: list[dict[str, Any]]) -> bool:
    """Tell whether a tool call has no result right after it."""
    after = [*messages[1:], {"role": "user"}]
    return any(
        message.get("tool_calls") and following["role"] != "tool"
        for message, following in zip(messages, after, strict=True)
    )


def too_long(mode: str, messages: list[dict[str, Any]]) -> str:
    """Return what is said of messages that exceed the window of a mode such as "window 5000", which counts characters."""
    kind, _, characters = mode.partition(" ")
    exceed = kind in TOO_LONG and sum(len(m["content"] or "") for m in messages) > int(characters)
    return TOO_LONG[kind] if exceed else ""


def finish(mode: str, message: dict[str, Any]) -> str:
    """Return the finish_reason of a message; a server that is being stopped breaks off with "abort"."""
    if mode == "abort":
        return "abort"
    return "tool_calls" if message["tool_calls"] else "stop"


def answer(mode: str, request: dict[str, Any]) -> dict[str, Any]:
    """Return the assistant's message.

    Args:
        mode: How the model behaves; any name without a fault here means well.
        request: The body of the request.
    """
    last = request["messages"][-1]
    if mode == "loop" and request.get("tools"):
        return _call("get_weather", {"location": "Seoul"})
    if mode.startswith("say "):
        return _say(mode.removeprefix("say "))
    if mode == "empty":
        return _say(None)
    if mode == "bad_arguments":
        return _call("get_weather", {}, text='{"location": ')
    if mode == "unknown_tool" and last["role"] == "user":
        return _call("delete_everything", {"what": "all"})
    if last["role"] == "tool":
        return _say(f"answer: {last['content']}")
    for word, query in TOPICS.items():
        if word in last["content"]:
            return _call("search_policy", {"query": query})
    if "날씨" in last["content"] or "weather" in last["content"]:
        return _call("get_weather", {"location": "Seoul"})
    return _say(f"echo: {last['content']}")


def chunks(message: dict[str, Any], reason: str) -> Iterator[dict[str, Any]]:
    """The message in the pieces in which vLLM streams it."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for index, call in enumerate(message["tool_calls"]):
        name, text = call["function"]["name"], call["function"]["arguments"]
        head = {
            "id": call["id"],
            "type": "function",
            "index": index,
            "function": {"name": name, "arguments": ""},
        }
        deltas.append({"tool_calls": [head]})
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in text]
    # Tokens are no words: a marker may come in several pieces.
    deltas += [{"content": piece} for piece in re.findall(r"(?s).{1,3}", message["content"] or "")]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    for delta in deltas:
        yield head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield head | {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
