"""Requests of the guide, which several tests compare with."""

from typing import Any

G41_BODY: dict[str, Any] = {
    "messages": [{"role": "user", "content": "서울의 현재 날씨를 알려줘"}],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "특정 위치의 현재 날씨를 가져옵니다",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "location": {"type": "string", "description": "도시 이름 (예: Seoul, Tokyo)"}
                    },
                    "required": ["location"],
                },
            },
        }
    ],
    "tool_choice": "auto",
}
