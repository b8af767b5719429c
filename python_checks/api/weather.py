"""The guide's request for a tool call (4.1): prompt, tool, and a result to hand in."""

import json
from collections.abc import Sequence
from typing import Any

PROMPT = {"role": "user", "content": "서울의 현재 날씨를 알려줘"}
TOOL: dict[str, Any] = {
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
RESULT = {"location": "Seoul", "temperature_c": 21, "condition": "맑음"}


def request(model: str, later: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Return the guide's request at temperature 0, with the messages of a second turn if given."""
    messages = [PROMPT, *later]
    return {"model": model, "messages": messages, "tools": [TOOL], "tool_choice": "auto", "temperature": 0}


def second_turn(calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages that hand in the tool's result for each of `calls`."""
    content = json.dumps(RESULT, ensure_ascii=False)
    results = [{"role": "tool", "tool_call_id": call.get("id"), "content": content} for call in calls]
    return [{"role": "assistant", "content": None, "tool_calls": list(calls)}, *results]
