"""The conformance matrix on replies that a real vLLM 0.32 gave: they pass, and each broken one is caught, in its case and by name."""

import pytest

from python_checks import cli
from python_checks.checks import conformance
from python_checks.conformance import limits
from python_checks.core.result import Fault, Result, State
from python_checks.core.timed import timed
from tests.python_checks.replaying import Exchange, changed, recorded, replay

LIMITS = {"chat-none", "chat-none-stream", "responses-none", "token-limit-auto"}
CALL_END = '"finish_reason":"tool_calls"'
PIECE = '"index":0,"function":{"arguments":"location"}'  # the third chunk of the streamed call
CHUNK_END = '"delta":{},"logprobs":null,"finish_reason":"tool_calls"'


def run(exchanges: list[Exchange], *arguments: str) -> dict[str, Result]:
    """Run the matrix against recorded replies; latency of a replay is none."""
    with replay(exchanges) as url:
        options = cli.parser(["conformance"]).parse_args(["conformance", "--url", url, *arguments])
        results = conformance.run(options, timed)
    return {result.check: result for result in results if result.check != "latency"}


def test_a_real_server_passes_with_its_known_limits() -> None:
    results = run(recorded("conformance"))
    assert {name for name, result in results.items() if result.state is not State.OK} == LIMITS
    for name in LIMITS:
        assert results[name].state is State.WARNING
        assert results[name].reason.endswith("(known limit of vLLM)")
        assert results[name].remedy.startswith("see docs/conformance.md#")


BROKEN = [
    # what vLLM, a proxy or a client's server did at some time: case, old, new, the words for it
    ("chat-auto", CALL_END, '"finish_reason":"stop"', "finish_reason is stop, wanted tool_calls"),
    ("chat-auto", CALL_END, '"finish_reason":"length"', "the call is cut (finish_reason length)"),
    ("chat-auto", '"arguments":"{', '"arguments":"', "arguments are no valid JSON"),
    ("chat-auto", r'"{\"location\": \"Seoul\"}"', '""', "arguments are empty, the call is cut"),
    ("chat-auto", r'\"Seoul\"}', r'\"Se', "arguments end too early, the call is cut"),
    ("chat-auto", r'\"Seoul\"', "5", "5 is not of type 'string'"),
    ("chat-auto", r'\"location\"', r'\"city\"', "'location' is a required property"),
    ("chat-auto", '"name":"get_weather"', '"name":"search"', 'called "search", which was not offered'),
    ("chat-auto", '"name":"get_weather"', '"name":"get_weather<|channel|>json"', "leaks into the tool's name"),
    ("chat-auto", '"content":null', '"content":"<|channel|>commentary to=functions.x"', "leaks into content"),
    ("chat-auto", '"id":"chatcmpl-tool-', '"no_id":"chatcmpl-tool-', "tool call without an id: null"),
    ("chat-auto", '"usage":{', '"no_usage":{', "no usage: None"),
    ("chat-auto", '"total_tokens":', '"total_tokens":9', "usage does not add up"),
    ("chat-auto", '"completion_tokens":', '"completion_tokens":-', "usage without counts"),
    ("chat-auto", '"object":"chat.completion","created"', '"choices":[],"x', "no chat completion"),
    ("chat-required", '"content":""', '"content":"{}"', "content beside the call"),
    ("chat-required", '"tool_calls":[', '"tool_calls":null,"gone":[', "no tool call: tool_calls is null"),
    ("chat-named", '"finish_reason":"stop"', '"finish_reason":"abort"', "finish_reason is abort"),
    ("chat-named", '"name":"get_weather"', '"name":""', 'called "", which was not offered'),
    ("chat-auto-stream", "data: [DONE]", ": the end", "no [DONE] came"),
    ("chat-auto-stream", CHUNK_END, '"delta":{},"logprobs":null,"finish_reason":null', "no finish_reason came"),
    ("chat-auto-stream", PIECE, '"index":1,"function":{"arguments":"location"}', "arguments come before its name"),
    ("chat-auto-stream", PIECE, '"function":{"arguments":"location"}', "has no index"),
    ("chat-auto-stream", PIECE, '"id":"other","index":0,"function":{"arguments":"location"}', "its id changes"),
    ("chat-auto-stream", '"arguments":"location"', '"name":"get_weather","arguments":"location"', "its name comes again"),
    ("chat-auto-stream", '"arguments":"oul"', '"arguments":""', "the streamed call"),
    ("chat-auto-stream", '"arguments":"\\"}"', '"arguments":""', "arguments end too early"),
    ("chat-auto-stream", '"choices":[],"usage"', '"choices":[],"no_usage"', "no usage"),
    ("chat-auto-stream", '{"arguments":"location"}}]}', '{"arguments":"location"', "an event is no JSON object"),
    ("chat-required-stream", '"delta":{"tool_calls":[{' + PIECE + "}]}", '"delta":{"content":"<|call|>"}', "Harmony token <|call|> leaks"),
    ("chat-named-stream", '"id":"chatcmpl-tool-', '"no_id":"chatcmpl-tool-', "no id came for a tool call"),
    ("responses-auto", '"status":"completed"', '"status":"incomplete"', "status is incomplete, wanted completed"),
    ("responses-auto", '"type":"function_call"', '"type":"reasoning"', "no function_call in the output"),
    ("responses-auto", r'\"Seoul\"}', r'\"Se', "arguments end too early"),
    ("responses-auto", '"call_id":"call_', '"call":"', "tool call without an id"),
    ("responses-required", '"usage":{', '"no_usage":{', "no usage"),
    ("responses-required", '"object":"response"', '"object":"list"', "no response"),
    ("strict-arguments", r"\\ubd80\\uc0b0", "Busan", "'Busan' is not one of"),
    ("strict-arguments", r"\"location\": ", r"\"days\": \"two\", \"location\": ", "'two' is not one of"),
    ("strict-arguments", r"\"location\": ", r"\"detail\": {\"wind\": 1}, \"location\": ", "'part' is a required property"),
    ("strict-arguments", r"\"location\": ", r"\"unit\": \"C\", \"location\": ", "Additional properties are not allowed"),
    ("second-turn", '"content":"', '"content":null,"was":"', "second turn: no content"),
    ("second-turn", '"content":"', '"content":"assistantfinal', "Harmony token assistantfinal leaks"),
    ("system-prompt", '"prompt_tokens":191,"total_tokens":192', '"prompt_tokens":141,"total_tokens":142', "the system prompt is dropped"),
    ("token-limit-required", '"finish_reason":"length"', CALL_END, "the reply does not say so"),
    ("unknown-model", "The model", "", "HTTP 200 for an unknown model, wanted 404"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("case", "old", "new", "words"), BROKEN, ids=[f"{each[0]}: {each[3]}" for each in BROKEN]
)
def test_each_broken_reply_is_caught_by_name(case: str, old: str, new: str, words: str) -> None:
    exchanges = changed(recorded("conformance"), case, old, new)
    if "HTTP 200" in words:
        exchanges = [each | {"status": 200} if each["case"] == case else each for each in exchanges]
    result = run(exchanges)[case]
    # Two streams that differ may be chance; all else is proven, and no known limit.
    state = State.WARNING if words == "the streamed call" else State.CRITICAL
    assert result.state is state and words in result.reason, result
    assert result.remedy


def test_ids_that_come_twice() -> None:
    exchanges = recorded("conformance")
    ids = [
        text.partition('"id":"chatcmpl-tool-')[2][:16] for text in (each["text"] for each in exchanges[1:3])
    ]
    result = run(changed(exchanges, "chat-auto-stream", ids[1], ids[0]))["call-ids"]
    assert result.state is State.CRITICAL and "is given to more than one tool call" in result.reason


def test_a_limit_ends_with_the_version_that_mended_it() -> None:
    fault = Fault("get_weather: arguments break the schema: 5", "bind them")
    states = [
        limits.soften("strict-arguments", [fault], served)[0].state for served in ((0, 24), (0, 25), ())
    ]
    assert states == [State.WARNING, State.CRITICAL, State.CRITICAL]
    assert limits.soften("chat-auto", [fault], (0, 32)) == [fault]
