"""Judges of health, models, completion and chat, on replies of a real server and on broken ones."""

import copy
from typing import Any

import pytest

from python_checks.api.http import Reply
from python_checks.api.openai import choice
from python_checks.checks import chat, completion, health, models
from python_checks.core.result import CheckError, State
from tests.python_checks.support import Replies


def reply(data: Any, status: int = 200) -> Reply:
    """Make a reply with a JSON body."""
    return Reply(status, data, str(data))


def test_health() -> None:
    assert health.judge(Reply(200, None, "")).state is State.OK
    dead = health.judge(Reply(503, None, ""))
    assert (dead.state, "engine is dead" in dead.reason) == (State.CRITICAL, True)
    other = health.judge(Reply(404, {"detail": "Not Found"}, ""))
    assert other.reason == "/health says 404: Not Found" and "ss -ltnp" in other.remedy


def test_models(replies: Replies) -> None:
    served = reply(replies["models"])
    assert models.judge(served, "gpt-oss-120b").state is State.OK
    wrong = models.judge(served, "gpt-oss-20b")
    assert wrong.state is State.CRITICAL
    assert wrong.reason == "gpt-oss-20b is not served; served: gpt-oss-120b"
    assert "--served-model-name gpt-oss-20b" in wrong.remedy


@pytest.mark.parametrize("data", [None, [], {"data": None}, {"detail": "Not Found"}])
def test_models_of_something_else(data: Any) -> None:
    assert models.judge(reply(data), "gpt-oss-120b").state is State.CRITICAL


def test_completion(replies: Replies) -> None:
    result = completion.judge(choice(reply(replies["completion"])))
    assert result.state is State.OK
    assert result.evidence["finish_reason"] in ("stop", "length")


@pytest.mark.parametrize(
    ("message", "finish", "words"),
    [
        ({"content": None}, "stop", "chat: no content (finish_reason stop)"),
        ({"content": ""}, "length", "chat: no content (finish_reason length; cut before its answer)"),
        ({"content": " \n"}, "length", "the engine answers nonsense: blanks and nothing else"),
        ({"content": None, "tool_calls": [{}]}, "tool_calls", "no content but tool_calls"),
        ({"content": "hi"}, "abort", "finish_reason abort, wanted stop or length"),
        (
            {"content": "<|channel|>final<|message|>hi"},
            "stop",
            "Harmony token <|channel|> leaks into content",
        ),
        ({"content": "commentary to=functions.get_weather"}, "stop", "Harmony token to=functions leaks"),
    ],
)
def test_each_broken_completion_is_named(message: dict[str, Any], finish: str, words: str) -> None:
    result = completion.judge({"message": message, "finish_reason": finish})
    assert result.state is State.CRITICAL and words in result.reason and result.remedy


@pytest.mark.parametrize("name", ["error_400", "error_404", "error_500"])
def test_a_refusal_of_vllm_is_quoted(replies: Replies, name: str) -> None:
    status = int(name[-3:])
    with pytest.raises(CheckError) as caught:
        choice(reply(replies[name], status))
    words = replies[name]["error"]["message"] or replies[name]["error"]["type"]
    assert caught.value.fault.reason.startswith(f"HTTP {status}: {' '.join(words.split())[:40]}")
    assert caught.value.fault.remedy


@pytest.mark.parametrize(
    "data", [None, [], {}, {"choices": []}, {"choices": [{"message": None}]}, {"choices": {}}]
)
def test_a_200_that_is_no_chat_completion_is_named(data: Any) -> None:
    with pytest.raises(CheckError, match="no chat completion"):
        choice(reply(data))


ANSWER = {"answer": "연차는 15일입니다.", "session_id": "probe-1", "tools_called": ["search_policy"]}


def test_chat() -> None:
    assert chat.judge(reply(ANSWER), "search_policy").state is State.OK


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"answer": ""}, "answer is empty"),
        ({"answer": None}, "answer is empty"),
        ({"tools_called": []}, "tool search_policy was not called; called: none"),
        ({"tools_called": ["other"]}, "called: other"),
        ({"tools_called": None}, "called: none"),
        ({"answer": "<|start|>assistant"}, "Harmony token <|start|> leaks into the answer"),
    ],
)
def test_each_broken_chat_is_named(change: dict[str, Any], words: str) -> None:
    result = chat.judge(reply(copy.deepcopy(ANSWER) | change), "search_policy")
    assert result.state is State.CRITICAL and words in result.reason and result.remedy


def test_a_backend_that_reports_no_tools_is_accepted_on_demand() -> None:
    assert chat.judge(reply({"answer": "네"}), "").state is State.OK


def test_a_backend_of_a_users_own_answers_in_its_own_words() -> None:
    body: dict[str, Any] = {
        "session_id": "probe-1",
        "result": {"messages": [chat.MESSAGE, "연차는 15일입니다."]},
    }
    assert chat.judge(reply(body), "").state is State.OK
    assert chat.judge(reply(body), "search_policy").state is State.CRITICAL
    body["result"]["messages"][1] = " "
    assert "answer is empty" in chat.judge(reply(body), "").reason
    body["result"]["messages"][1] = "to=functions.search_policy"
    assert "Harmony token to=functions leaks" in chat.judge(reply(body), "").reason


def test_the_backend_says_why_it_cannot() -> None:
    body = {"error": "model_unavailable", "reason": "vLLM refused", "remedy": "start vLLM"}
    result = chat.judge(reply(body, 503), "")
    assert (result.reason, result.remedy) == ("backend says 503: vLLM refused", "start vLLM")
    assert "tool-call" in chat.judge(reply({"error": "x"}, 503), "").remedy
    assert chat.judge(reply("words"), "").state is State.CRITICAL
