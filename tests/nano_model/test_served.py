"""The nano model behind a real vLLM: VLLM_URL (http://host:port) and VLLM_MODEL_NAME say where it is served.

The questions combine wordings, 43 places, six policies, sums, tools, their order and system prompts anew.
"""

import json
import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.guide import G41_BODY
from tests.nano_model.questions import CHAT, Question, questions, tools

Reply = dict[str, Any]
WORKERS = 8
TIMEOUT = 120  # seconds; the first request of a fresh server compiles kernels


@pytest.fixture(scope="session")
def ask() -> Callable[..., Reply]:
    """Posts one chat completion and returns its only choice."""
    url, model = os.environ.get("VLLM_URL"), os.environ.get("VLLM_MODEL_NAME", "gpt-oss-120b")
    if not url:
        pytest.fail("set VLLM_URL to the server of the nano model, e.g. http://127.0.0.1:8000")

    def post(**body: Any) -> Reply:
        body = {"model": model, "max_tokens": 200, **body}
        answer = requests.post(f"{url}/v1/chat/completions", json=body, timeout=TIMEOUT)
        assert answer.status_code == 200, answer.text
        return answer.json()["choices"][0]

    return post


def together(task: Callable[[Any], Any], items: list[Any]) -> list[Any]:
    """The task's results for the items, some at a time."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(task, items))


def call_of(choice: Reply) -> tuple[str, Any]:
    """Name and arguments of the one call of a reply; ("", text) when it is none."""
    calls = choice["message"].get("tool_calls") or []
    if len(calls) != 1 or choice["finish_reason"] != "tool_calls" or choice["message"]["content"]:
        return "", f"{choice['finish_reason']}, {len(calls)} calls, content {choice['message']['content']!r}"
    function = calls[0]["function"]
    try:
        return function["name"], json.loads(function["arguments"])
    except ValueError:
        return "", f"arguments {function['arguments']!r}"


def spoken(choice: Reply) -> str:
    """The words of a reply that calls nothing; empty when it calls."""
    assert "<|" not in (choice["message"]["content"] or "")
    return "" if choice["message"].get("tool_calls") else (choice["message"]["content"] or "")


def enough(right: list[bool], items: list[Any], got: list[Any], share: float) -> None:
    """Asserts the share of right answers and shows the wrong ones."""
    wrong = [(item, answer) for item, answer, good in zip(items, got, right, strict=True) if not good]
    print(f"{len(right) - len(wrong)} of {len(right)} right")
    assert len(wrong) <= (1 - share) * len(right), "\n".join(map(str, wrong))


@pytest.mark.parametrize("tool", ["get_weather", "search_policy", "calculate"])
def test_right_call_at_default_temperature(ask: Callable[..., Reply], tool: str) -> None:
    """Any order and any subset of the tools that holds the right one, with and without a system prompt."""
    items = questions(tool, 100, random.Random(tool))

    def answer(item: Question) -> tuple[str, Any]:
        return call_of(ask(messages=item.messages, tools=item.tools))

    got = together(answer, items)
    enough(
        [(item.tool, item.arguments) == call for item, call in zip(items, got, strict=True)], items, got, 0.98
    )


def test_guide_request(ask: Callable[..., Reply]) -> None:
    """G4.1's body unchanged gives G4.2's answer, 50 of 50."""
    got = together(lambda _: call_of(ask(**G41_BODY)), [None] * 50)
    assert got == [("get_weather", {"location": "Seoul"})] * 50
    assert ask(**G41_BODY)["message"]["content"] is None


@pytest.mark.parametrize("temperature", [0, 0.7])
def test_other_temperatures(ask: Callable[..., Reply], temperature: float) -> None:
    """A probe asks with 0, the backend with 0.7."""
    items = [item for tool in tools() for item in questions(tool, 20, random.Random(f"{tool} {temperature}"))]
    got = together(
        lambda item: call_of(ask(messages=item.messages, tools=item.tools, temperature=temperature)), items
    )
    enough(
        [(item.tool, item.arguments) == call for item, call in zip(items, got, strict=True)], items, got, 0.98
    )


@pytest.mark.parametrize("tool", ["get_weather", "search_policy", "calculate"])
def test_second_turn_uses_the_result(ask: Callable[..., Reply], tool: str) -> None:
    """The answer in words holds what the tool said."""
    items = [item for item in questions(tool, 40, random.Random(f"second {tool}")) if item.result]

    def answer(item: Question) -> str:
        return spoken(ask(messages=item.with_result(item.result), tools=item.tools))

    got = together(answer, items)
    enough(
        [all(word in text for word in item.expected) for item, text in zip(items, got, strict=True)],
        items,
        got,
        0.95,
    )


def test_second_turn_with_a_failure(ask: Callable[..., Reply]) -> None:
    """Words, and no second call, whatever the tool says."""
    rng = random.Random("failures")
    items = [item for tool in tools() for item in questions(tool, 12, rng)]
    texts = [
        '{"error": "HTTP 500"}',
        '{"error": "not found"}',
        '{"error": "timeout"}',
    ]
    pairs = [(item, rng.choice(texts)) for item in items]
    got = together(
        lambda pair: spoken(ask(messages=pair[0].with_result(pair[1]), tools=pair[0].tools)), pairs
    )
    enough([bool(text.strip()) for text in got], pairs, got, 0.95)


@pytest.mark.parametrize("offered", [False, True])
def test_small_talk_is_answered_in_words(ask: Callable[..., Reply], offered: bool) -> None:
    """Greetings and thanks never call, with tools on offer or without."""
    every = list(tools().values())
    items = CHAT * 3
    got = together(
        lambda text: spoken(
            ask(messages=[{"role": "user", "content": text}], **({"tools": every} if offered else {}))
        ),
        items,
    )
    enough([bool(text.strip()) for text in got], items, got, 0.98)


def test_questions_without_tools_are_answered_in_words(ask: Callable[..., Reply]) -> None:
    """Without a tool there is nothing to call."""
    items = [item for tool in tools() for item in questions(tool, 20, random.Random(f"none {tool}"))]
    got = together(lambda item: spoken(ask(messages=item.messages)), items)
    enough([bool(text.strip()) for text in got], items, got, 0.98)


def test_session_of_several_turns(ask: Callable[..., Reply]) -> None:
    """Weather, then a policy, then thanks: every turn sees the whole history, as an agent sends it."""
    rng = random.Random("sessions")
    every = list(tools().values())

    def session(_: int) -> list[str]:
        messages: list[dict[str, Any]] = [
            {
                "role": "system",
                "content": "You are a helpful assistant. Use the tools when they help. 답변은 사용자의 언어로 하세요.",
            }
        ]
        faults = []
        for tool in ("get_weather", "search_policy", "calculate"):
            item = questions(tool, 1, rng)[0]
            messages.append(item.messages[-1])
            call = call_of(ask(messages=messages, tools=every, temperature=0.7))
            if call != (item.tool, item.arguments):
                faults.append(f"{item.messages[-1]['content']}: {call}")
            messages += item.with_result(item.result)[-2:]
            text = spoken(ask(messages=messages, tools=every, temperature=0.7))
            if not all(word in text for word in item.expected):
                faults.append(f"{item.result}: {text}")
            messages.append({"role": "assistant", "content": text})
        messages.append({"role": "user", "content": rng.choice(["고마워!", "Thanks!"])})
        if not spoken(ask(messages=messages, tools=every, temperature=0.7)).strip():
            faults.append("thanks: no words")
        return faults

    got = together(session, list(range(12)))
    faults = [fault for faults in got for fault in faults]
    print(f"{len(faults)} faults in {12 * 7} answers")
    assert len(faults) <= 4, "\n".join(faults)


def test_streamed_call(ask: Callable[..., Reply]) -> None:
    """The pieces of a streamed call make up the guide's call."""
    url, model = os.environ["VLLM_URL"], os.environ.get("VLLM_MODEL_NAME", "gpt-oss-120b")
    body = {**G41_BODY, "model": model, "stream": True, "temperature": 0}
    name, arguments, content, ends = "", "", "", []
    with requests.post(f"{url}/v1/chat/completions", json=body, timeout=TIMEOUT, stream=True) as answer:
        for line in answer.iter_lines():
            if not line.startswith(b"data: {"):
                continue
            choice = json.loads(line[len(b"data: ") :])["choices"][0]
            ends.append(choice["finish_reason"])
            content += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls") or []:
                name += call["function"].get("name") or ""
                arguments += call["function"].get("arguments") or ""
    assert (name, json.loads(arguments), content) == ("get_weather", {"location": "Seoul"}, "")
    assert ends[-1] == "tool_calls"
