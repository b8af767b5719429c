"""Replies as people met them (tests/python_checks/cases/tool-replies), and others of the same kinds: what each check says of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from python_checks.api.garbled import REMEDY as NONSENSE
from python_checks.api.garbled import nonsense
from python_checks.api.http import Reply
from python_checks.api.joined import join
from python_checks.api.openai import choice
from python_checks.api.stream import event
from python_checks.api.tool_replies import judge_call
from python_checks.api.weather import TOOL
from python_checks.canary.contact import converse
from python_checks.checks import chat, completion
from python_checks.conformance import responses
from python_checks.core.result import CheckError, State
from tests.python_checks.streaming import chunk, compose
from tests.python_checks.support import Probe, Server

CASES = Path(__file__).parents[1] / "cases" / "tool-replies"
USAGE = {"prompt_tokens": 90, "completion_tokens": 20, "total_tokens": 110}
FLAGS = "--enable-auto-tool-choice"
CALL = '{"location": "서울"}'


def case(name: str) -> Any:
    return json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))


def completed(message: dict[str, Any], finish: str) -> dict[str, Any]:
    choices = [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-oss-120b",
        "choices": choices,
        "usage": USAGE,
    }


def serve(server: Server, told: dict[str, Any]) -> None:
    """Answer as a case says: the request with tools, the one with a tool's result, the plain one; or all with `raw`."""

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        if "raw" in told:
            return 200, told["raw"]
        if any(message.get("role") == "tool" for message in body["messages"]):
            message, finish = (
                told.get("second", {"content": "서울은 21도입니다."}),
                told.get("finish2", "stop"),
            )
        elif body.get("tools"):
            message, finish = told["first"], told.get("finish", "tool_calls")
        else:
            message, finish = told.get("plain", {"content": "Hello!"}), told.get("finishp", "stop")
        return 200, completed(message, finish)

    server.answers |= {"/health": (200, ""), "/v1/chat/completions": answer}


def call(arguments: Any, name: Any = "get_weather") -> dict[str, Any]:
    """Return the message of one call."""
    function = {"name": name, "arguments": arguments}
    return {
        "content": None,
        "tool_calls": [{"id": "chatcmpl-tool-1", "type": "function", "function": function}],
    }


@pytest.mark.parametrize(
    ("name", "check", "words", "remedy"),
    [
        ("bang", "completion", "chat: the engine answers nonsense: one character over and over", NONSENSE),
        ("bang", "tool-call", "the engine answers nonsense", NONSENSE),
        ("bang", "wait", "the first chat failed: the engine answers nonsense", NONSENSE),
        ("bang_stop", "completion", "the engine answers nonsense", NONSENSE),
        ("bang_stop", "tool-call", "second turn: the engine answers nonsense", NONSENSE),
        ("bang_stop", "wait", "the first chat failed: the engine answers nonsense", NONSENSE),
        ("zerowidth_arg", "tool-call", "get_weather: argument location is empty", "bind the arguments"),
        (
            "dict_args",
            "tool-call",
            "arguments are an object, wanted a string",
            "a gateway rewrites the reply",
        ),
        ("double_encoded", "tool-call", "arguments are encoded twice", "the wrong tool parser"),
        (
            "finish_stop",
            "tool-call",
            "finish_reason is stop, wanted tool_calls",
            "update vLLM, or ask vLLM itself",
        ),
        ("twice_args", "tool-call", "arguments come twice", "update vLLM, or ask vLLM itself"),
        ("missing_colon", "tool-call", "arguments are no valid JSON", "update vLLM, or ask vLLM itself"),
        ("abort", "tool-call", "finish_reason is abort", "ask again when it is up"),
        ("abort", "completion", "finish_reason abort", "ask again when it is up"),
        ("choices_null", "tool-call", "upstream timed out (code 504)", "a proxy or gateway gives an error"),
        (
            "assistantcode",
            "tool-call",
            "Harmony token assistantcode leaks into content",
            "the reply was not parsed",
        ),
        ("functions_prefix", "tool-call", "Harmony's address of the tool", "update vLLM"),
    ],
)
def test_a_broken_reply_is_critical_with_a_remedy_that_fits(
    server: Server, probe: Probe, name: str, check: str, words: str, remedy: str
) -> None:
    serve(server, case(name))
    done = probe(check, "--url", server.url, "--model", "gpt-oss-120b")
    assert done.returncode == 2 and words in done.stdout and remedy in done.stdout, done.stdout
    assert FLAGS not in done.stdout


def test_words_before_a_call_are_sound(server: Server, probe: Probe) -> None:
    serve(server, case("preamble"))
    done = probe("tool-call", "--url", server.url, "--model", "gpt-oss-120b")
    assert (done.returncode, "tool-call OK: called get_weather" in done.stdout) == (0, True), done.stdout


@pytest.mark.parametrize("name", ["bang", "bang_stop"])
def test_the_canary_takes_no_nonsense_for_an_answer(server: Server, name: str) -> None:
    serve(server, case(name))
    chat = converse(server.url, "gpt-oss-120b", 30)
    assert (chat.kind, "the engine answers nonsense" in chat.words) == ("nonsense", True)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "!!!!",
            "!" * 64,
            "! ! ! !\n!!!",
            "GGGGGGGGGGGG",
            "0" * 16,
            "????????",
            "....",
            "\ufffd\ufffd\ufffd\ufffd",
        ),
        *(
            "the the the the the the",
            "assistant" * 8,
            "서울서울서울서울서울서울",
            "no no no no no no no no",
            "}{" * 12,
        ),
        *("   ", "\n\n\n\n", "\u200b\u200b \u00a0", "\x00\x01\x02", "\u3164\u2800", "\ufeff", "─━═", "،؛؟"),
        "Hello" + "!" * 30,
        "The weather in Seoul is " + "sunny and " * 40,
        "I am sorry, but I cannot answer that. " * 12,
        "안녕하세요 \ufffd\ufffd \ufffd\ufffd\ufffd 네",
        "\ue000\ue001\ue002 hello",
    ],
)
def test_what_is_no_words(text: str) -> None:
    assert nonsense(text)
    broken = completion.judge({"message": {"content": text}, "finish_reason": "length"})
    assert (broken.state, broken.remedy) == (State.CRITICAL, NONSENSE)
    [fault] = judge_call({"message": {"content": text, "tool_calls": None}, "finish_reason": "stop"}, [TOOL])
    assert fault.remedy == NONSENSE


@pytest.mark.parametrize(
    "text",
    [
        *(
            "OK",
            "Hello!",
            "4",
            "No.",
            "네",
            "네.",
            "Hi",
            "Y",
            "👋",
            "Hello! 👋",
            "서울은 21도입니다.",
            "今日は",
            "½",
            "Ha ha ha!",
        ),
        *("1, 2, 3, 4, 5, 6, 7, 8, 9, 10", "Hello!!!", "ㅎㅎㅎ", "Привет!", "สวัสดี", "नमस्ते", "مرحبا"),
        "```python\nfor number in range(10):\n    print('=' * 40)\n```",
        "| city | weather |\n|---|---|\n| Seoul | sunny |\n| Busan | rain |\n| Jeju | wind |",
        "-" * 20
        + "\nWeather report for Seoul, Busan and Jeju: it is sunny today, and it rains tomorrow.\n"
        + "-" * 20,
        "안녕하세요! 무엇을 도와드릴까요? \ufffd",  # cut in the middle of a character
        "Hello! How can I help you today? " + "1. Weather\n2. News\n3. Sports\n4. Music\n5. Films\n6. Books",
        "Yes, yes, yes, yes: of course I can help.",
    ],
)
def test_what_may_be_an_answer(text: str) -> None:
    assert nonsense(text) == ""
    assert completion.judge({"message": {"content": text}, "finish_reason": "stop"}).state is State.OK


def test_garbage_of_megabytes_is_judged_at_once() -> None:
    assert nonsense("G" * 8 * 2**20) and nonsense("가나다 " * 2**20)


@pytest.mark.parametrize("part", ["reasoning", "reasoning_content"])
def test_a_reasoning_of_nonsense_counts_too(part: str) -> None:
    first = {"message": {"content": None, part: "!" * 16}, "finish_reason": "length"}
    assert completion.judge(first).remedy == NONSENSE


def test_a_chat_of_few_tokens_may_end_before_its_answer(server: Server) -> None:
    sound: list[tuple[dict[str, Any], str]] = [
        ({"content": None, "reasoning": "User says hello. We should"}, "length"),
        ({"content": "\n\n", "reasoning": "User greets."}, "length"),
        ({"content": ""}, "length"),
        ({"content": "Hello! How"}, "length"),
    ]
    for message, finish in sound:
        serve(server, {"plain": message, "finishp": finish})
        assert converse(server.url, "m", 30).kind == "answered", message
    for message, finish, kind in (
        ({"content": None}, "stop", "nonsense"),
        ({"content": ""}, "abort", "failed"),
    ):
        serve(server, {"plain": message, "finishp": finish})
        assert converse(server.url, "m", 30).kind == kind, message


@pytest.mark.parametrize(
    ("first", "finish", "words", "remedy"),
    [
        (call('{"location": "\u00a0\u2003"}'), "tool_calls", "argument location is empty", "bind"),
        (call('{"location": "\u3164\u200d"}'), "tool_calls", "argument location is empty", "bind"),
        (call('{"location": null}'), "tool_calls", "is not of type 'string'", "bind"),
        (call('{"location": "!!!!!!!!!!!!"}'), "tool_calls", "argument location is nonsense", "gpu check"),
        (call([CALL]), "tool_calls", "arguments are a list, wanted a string", "a gateway rewrites"),
        (call(5), "tool_calls", "arguments are a number", "a gateway rewrites"),
        (call(json.dumps(json.dumps(CALL))), "tool_calls", "arguments are encoded twice", "parser"),
        (call('"[1]"'), "tool_calls", "arguments are encoded twice", "parser"),
        (call('{"location": NaN}'), "tool_calls", "JSON that clients refuse, NaN", "update vLLM"),
        (call('{"location": "a", "x": -Infinity}'), "tool_calls", "clients refuse, -Infinity", "update vLLM"),
        (call('{"location": "a", "location": "b"}'), "tool_calls", 'the key "location" in it comes twice', "update"),
        (call('{"location": "a", "n": 1e999}'), "tool_calls", "a number in it is too large", "update vLLM"),
        (call("[" * 100_000 + "]" * 100_000), "tool_calls", "nests deeper than 100 levels", "update vLLM"),
        (call('{"a":' * 600 + "1" + "}" * 600), "tool_calls", "nests deeper than 100 levels", "update vLLM"),
        (call(CALL + "\n" + CALL), "tool_calls", "arguments come twice", "update vLLM"),
        (call(CALL + ' {"location": "부산"}'), "tool_calls", "no valid JSON (Extra data", "update vLLM"),
        (call("{'location': '서울'}"), "tool_calls", "no valid JSON", "update vLLM"),
        (call("```json\n" + CALL + "\n```"), "tool_calls", "no valid JSON", "update vLLM"),
        (call(CALL, "functions.get_weather"), "stop", "Harmony's address of the tool", "update vLLM"),
        (call(CALL, "get_weather<|channel|>json"), "tool_calls", "Harmony token <|channel|>", "update vLLM"),
        (call(CALL, "get_weathercommentary"), "tool_calls", "Harmony token commentary leaks into the tool's name", "up"),
        (call(CALL, "assistant"), "tool_calls", "Harmony token assistant leaks into the tool's name", "update vLLM"),
        (call(CALL, ["get_weather"]), "tool_calls", "tool call without a name", "update vLLM"),
        (call(CALL, {"a": 1}), "tool_calls", "tool call without a name", "update vLLM"),
        (call(CALL, None), "tool_calls", "tool call without a name", "update vLLM"),
        (call(CALL), "content_filter", "finish_reason is content_filter", "vLLM filters nothing"),
        (call(CALL), "error", "finish_reason is error", "the engine failed over this request"),
        (call(CALL) | {"content": CALL}, "tool_calls", "content beside the call is", "update vLLM"),
        (call(CALL) | {"content": "!" * 64}, "tool_calls", "the engine answers nonsense", "gpu check"),
        (call(CALL) | {"content": [{"type": "text"}]}, "tool_calls", "content is no string", "a gateway rewrites"),
        (call(CALL) | {"content": "analysisWe need it."}, "tool_calls", "Harmony token analysis leaks", "left it in"),
        ({"content": "", "tool_calls": []}, "error", "no tool call", "the engine failed over this request"),
        ({"content": None, "tool_calls": {"name": "get_weather"}}, "tool_calls", "tool_calls is no list", "a gateway"),
        ({"content": None, "function_call": {"name": "get_weather"}}, "stop", "function_call", "a gateway rewrites"),
    ],
)  # fmt: skip
def test_a_broken_call_has_a_remedy_that_fits(first: Any, finish: str, words: str, remedy: str) -> None:
    faults = judge_call({"message": first, "finish_reason": finish}, [TOOL])
    assert any(words in fault.reason for fault in faults), faults
    assert any(remedy in fault.remedy for fault in faults), faults
    assert not any(FLAGS in fault.remedy for fault in faults), faults


@pytest.mark.parametrize(
    "content",
    [
        'assistantcommentary to=functions.get_weather json{"location":"서울"}',
        'commentary to=functions.get_weather <|constrain|>json<|message|>{"location":"서울"}',
        'analysis사용자가 날씨를 묻는다. assistantcommentary to=functions.get_weather code{"location":"서울"}',
        'assistantjson {"location": "서울"}',
        'functions.get_weather({"location": "서울"})',
        'commentaryjson{"location":"서울"}',
        "final서울은 21도입니다.",
        "The user asks.assistantfinal서울은 21도입니다.",
        "<|start|>assistant<|channel|>final",
        "<|channel",
        "assistant to=get_weather",
        "서울은 맑습니다<|im_end|>",
    ],
)
def test_raw_text_of_the_model_is_named(content: str) -> None:
    faults = judge_call(
        {"message": {"content": content, "tool_calls": None}, "finish_reason": "stop"}, [TOOL]
    )
    leaks = "Harmony token" in " ".join(fault.reason for fault in faults)
    assert leaks or content == "<|channel", faults
    assert leaks is not (content == "<|channel")  # half a token says nothing
    assert all(FLAGS not in fault.remedy for fault in faults) or not leaks


@pytest.mark.parametrize(
    "content",
    [
        *("서울의 날씨를 확인하겠습니다.", "Let me check.", "", None, "\n\n", " ", "...", "🌤️"),
        "I'll call get_weather: the assistants' final analysis comes after it.",
    ],
)
def test_a_preamble_of_any_kind_is_sound(content: str | None) -> None:
    first = {"message": call(CALL) | {"content": content}, "finish_reason": "tool_calls"}
    assert judge_call(first, [TOOL]) == []


@pytest.mark.parametrize(
    ("data", "text", "words", "remedy"),
    [
        (
            {"error": {"message": "no healthy upstream", "code": 503}},
            "",
            "no healthy upstream (code 503)",
            "a proxy",
        ),
        ({"error": "rate limited"}, "", "with an error in it: rate limited", "a proxy"),
        ({"detail": "Not authenticated"}, "", "with an error in it: Not authenticated", "a proxy"),
        ({"object": "error", "message": "CUDA error", "code": 500}, "", "CUDA error (code 500)", "a proxy"),
        ({"message": "no Route matched with those values"}, "", "no Route matched", "a proxy"),
        ({"choices": [], "error": {"code": 502}}, "", "with an error in it", "a proxy"),
        (
            {
                "choices": [
                    {"message": {"content": "x"}, "error": {"message": "provider failed", "code": 429}}
                ]
            },
            *("", "provider failed (code 429)", "a proxy"),
        ),
        (
            None,
            "<!DOCTYPE html><html><title>Sign in</title>",
            "no chat completion: <!DOCTYPE html>",
            "a login",
        ),
        (
            None,
            "data: {}\n\ndata: [DONE]\n\n",
            "no chat completion: data:",
            "a stream came though none was asked for",
        ),
        (None, "", "empty body", "something else than vLLM"),
        ([], "[]", "no chat completion: []", "something else than vLLM"),
    ],
)
def test_who_answers_200_without_a_completion(data: Any, text: str, words: str, remedy: str) -> None:
    with pytest.raises(CheckError) as caught:
        choice(Reply(200, data, text or json.dumps(data)) if data is not None else Reply(200, None, text))
    assert words in caught.value.fault.reason and remedy in caught.value.fault.remedy, caught.value.fault


@pytest.mark.parametrize(
    ("message", "finish", "remedy"),
    [
        ({"content": None}, "stop", "it ended without a word"),
        ({"content": None, "reasoning": "User greets."}, "stop", "behind its reasoning"),
        ({"content": None, "tool_calls": [{}]}, "tool_calls", "a tool was called where words were wanted"),
        ({"content": None, "reasoning": "User greets."}, "length", "a limit on max_tokens"),
        ({"content": ["Hello"]}, "stop", "content is no string"),
        ({"content": ""}, "abort", "vLLM is being stopped"),
        ({"content": "Hel"}, "content_filter", "vLLM filters nothing"),
    ],
)
def test_an_answer_without_words_has_a_remedy_that_fits(message: Any, finish: str, remedy: str) -> None:
    result = completion.judge({"message": message, "finish_reason": finish})
    assert result.state is State.CRITICAL and remedy in result.remedy, result
    assert ("max_tokens" in result.remedy) is (finish == "length")


def test_a_streamed_reply_is_judged_alike() -> None:
    preamble, bang = case("preamble")["first"], case("bang")["first"]
    sound, broken = (
        join(event(0.0, "", data if isinstance(data, str) else json.dumps(data)) for data in datas)
        for datas in (
            compose({"message": preamble, "finish_reason": "tool_calls"}, 20),
            compose({"message": bang, "finish_reason": "length"}, 20),
        )
    )
    assert sound.faults == [] == judge_call(sound.choice, [TOOL])
    [fault] = judge_call(broken.choice, [TOOL])
    assert fault.remedy == NONSENSE
    piece = {"index": 0, "id": "a", "function": {"name": "get_weather", "arguments": {"location": "서울"}}}
    joined = join([event(0.0, "", json.dumps(chunk({"tool_calls": [piece]})))])
    assert "tool call 0: its arguments are no string" in joined.faults[0].reason


@pytest.mark.parametrize(
    ("change", "words", "remedy"),
    [
        (
            {"output": [{"type": "message", "content": [{"text": "!" * 40}]}]},
            "the engine answers nonsense",
            "gpu check",
        ),
        (
            {"output": [{"type": "reasoning", "content": [{"text": "the " * 40}]}]},
            "answers nonsense",
            "gpu check",
        ),
        (
            {"output": [{"type": "message", "content": [{"text": "assistantfinal서울"}]}]},
            "Harmony token",
            "not parsed",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "incomplete",
            "raise the limit",
        ),
        ({"status": "failed", "error": {"message": "CUDA error"}}, "status is failed", "the engine failed"),
        ({"status": "cancelled"}, "status is cancelled", "vLLM is being stopped"),
        (
            {"status": ["x"], "output": [{"type": "message", "content": 5}, 7]},
            "status is ['x']",
            "see the server's log",
        ),
    ],
)
def test_the_other_api_is_judged_alike(change: dict[str, Any], words: str, remedy: str) -> None:
    data: dict[str, Any] = {"object": "response", "status": "completed", "output": []} | change
    _, faults = responses.calls(Reply(200, data, ""))
    assert any(words in fault.reason and remedy in fault.remedy for fault in faults), faults


def test_the_other_api_behind_a_proxy() -> None:
    with pytest.raises(CheckError, match="with an error in it: upstream timed out"):
        responses.calls(Reply(200, case("choices_null")["raw"], ""))


@pytest.mark.parametrize("expected", ["search_policy", ""])
def test_the_backends_answer_must_be_words(expected: str) -> None:
    told = {"answer": "!!!!!!!!!!!!!!!!", "session_id": "probe-1", "tools_called": ["search_policy"]}
    result = chat.judge(Reply(200, told, ""), expected)
    assert (result.state, NONSENSE in result.remedy) == (State.CRITICAL, True)
    other = {"id": "00000000-0000-0000-0000-000000000000", "reply": {"text": "네, 연차는 15일입니다."}}
    assert chat.judge(Reply(200, other, ""), "").state is State.OK
    other["reply"] = {"text": "GGGG" * 30}
    assert chat.judge(Reply(200, other, ""), "").state is State.CRITICAL
