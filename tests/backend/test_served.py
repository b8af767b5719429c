"""The backend on a real vLLM, named by BACKEND_URL: questions as users ask them, in both languages."""

import os
import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from running import events


@pytest.fixture(scope="module")
def client() -> Iterator[httpx2.Client]:
    """A client of the backend that BACKEND_URL names."""
    url = os.environ.get("BACKEND_URL")
    assert url, "set BACKEND_URL to a backend on a real vLLM, for example http://127.0.0.1:8080"
    with httpx2.Client(base_url=url, timeout=180, trust_env=False) as opened:
        yield opened


@pytest.fixture
def session() -> str:
    """A session that is new."""
    return f"served-{uuid.uuid4().hex}"


def ask(client: httpx2.Client, message: str, session: str) -> dict[str, Any]:
    """Send one message and return the reply."""
    reply = client.post("/v1/chat", json={"message": message, "session_id": session})
    assert reply.status_code == 200, reply.text
    assert reply.json()["session_id"] == session
    body: dict[str, Any] = reply.json()
    assert not re.search(r"<\|\w+\|>|to=functions\.", body["answer"]), f"Harmony leaks: {body['answer']}"
    return body


def test_alive_and_ready(client: httpx2.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").status_code == 200, client.get("/ready").text


def test_question_of_the_guide(client: httpx2.Client, session: str) -> None:
    reply = ask(client, "회사 휴가 정책 알려줘", session)
    assert reply["tools_called"] == ["search_policy"]
    assert "15일" in reply["answer"]
    assert re.search("[가-힣]", reply["answer"])


def test_question_in_english_is_answered_in_english(client: httpx2.Client, session: str) -> None:
    reply = ask(client, "Tell me the vacation policy", session)
    assert reply["tools_called"] == ["search_policy"]
    assert "15" in reply["answer"]
    assert not re.search("[가-힣]", reply["answer"])


@pytest.mark.parametrize(
    ("question", "degrees"), [("서울의 현재 날씨를 알려줘", "21"), ("What is the weather in Tokyo?", "18")]
)
def test_weather_comes_from_the_tool(
    client: httpx2.Client, session: str, question: str, degrees: str
) -> None:
    reply = ask(client, question, session)
    assert reply["tools_called"] == ["get_weather"]
    assert degrees in reply["answer"]


def test_second_turn_in_the_same_session(client: httpx2.Client, session: str) -> None:
    assert ask(client, "회사 휴가 정책 알려줘", session)["tools_called"] == ["search_policy"]
    reply = ask(client, "서울의 현재 날씨를 알려줘", session)
    assert reply["tools_called"] == ["get_weather"]
    assert "21" in reply["answer"]


def test_stream(client: httpx2.Client, session: str) -> None:
    body = {"message": "회사 휴가 정책 알려줘", "session_id": session}
    with client.stream("POST", "/v1/chat/stream", json=body) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        found = events(reply.read().decode())
    tools = [data["name"] for name, data in found if name == "tool"]
    pieces = [data["text"] for name, data in found if name == "token"]
    assert tools == ["search_policy"]
    assert found[-1][0] == "done", found[-1]
    assert found[-1][1]["tools_called"] == tools
    assert found[-1][1]["answer"] in "".join(pieces)
    assert len(pieces) > 1
    assert "15일" in found[-1][1]["answer"]


def test_bad_request_is_refused(client: httpx2.Client) -> None:
    reply = client.post("/v1/chat", json={"message": "", "session_id": "s"})
    assert (reply.status_code, reply.json()["error"]) == (422, "invalid_request")
