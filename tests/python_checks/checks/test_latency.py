"""`latency`: figures of given times, each limit by its name, and the whole check against a real server."""

import json
from typing import Any

import pytest

from python_checks.api.stream import ServerEvent, Streamed, event
from python_checks.checks.latency import Limits, judge
from python_checks.core.result import CheckError, Result, State
from tests.python_checks.streaming import Speaker, chunk, compose, speaker, sse, usage
from tests.python_checks.support import Probe, Replies, Server

__all__ = ["speaker"]  # a fixture

START = 100.0
PATIENT = (
    "--ttft",
    "50",
    "60",
    "--gap",
    "50",
    "60",
    "--rate",
    "0.02",
    "0.01",
)  # this host's speed decides no test


def at(time: float, data: Any) -> ServerEvent:
    """Make an event that came `time` seconds after the request."""
    return event(START + time, "", sse(data).decode()[6:-2])


def streamed(
    times: list[float], tokens: int | None = None, contents: int = 2, finish: float | None = None
) -> Streamed:
    """Compose a stream whose tokens came at `times`, the last `contents` of them as content, else reasoning."""
    end = times[-1] if finish is None else finish
    kinds = ["reasoning"] * (len(times) - contents) + ["content"] * contents
    events = [at(times[0], chunk({"role": "assistant", "content": ""}))]
    events += [at(time, chunk({kind: "x"})) for time, kind in zip(times, kinds[-len(times) :], strict=True)]
    last = usage(len(times) if tokens is None else tokens)
    events += [at(end, data) for data in (chunk({}, "stop"), last, "[DONE]")]
    return Streamed(200, None, "", START, tuple(events))


def judged(stream: Streamed, **limits: tuple[float, float]) -> Result:
    """Judge with limits that a test does not set far away."""
    chosen = {"ttft": (50, 60), "gap": (50, 60), "rate": (0.02, 0.01)} | limits
    return judge(stream, **{name: Limits(*both) for name, both in chosen.items()})


def values(result: Result) -> dict[str, float]:
    """Return the figures by name, rounded."""
    return {figure.name: round(figure.value, 6) for figure in result.figures}


# 20 gaps: 18 of 0.1 s, one of 0.2 s, one of 0.5 s; the first two tokens reason.
TIMES = [1.0]
for gap in [0.1] * 9 + [0.5] + [0.1] * 9 + [0.2]:
    TIMES.append(TIMES[-1] + gap)


def test_figures_of_given_times() -> None:
    result = judged(streamed(TIMES, tokens=36, contents=19, finish=TIMES[-1] + 0.5))
    assert values(result) == {
        "ttft": 1.0,
        "first_content": 1.2,
        "gap_p50": 0.1,
        "gap_p95": 0.215,  # between the two longest: 0.2 and 0.5 at a twentieth
        "gap_max": 0.5,
        "events_per_read": 1.0,
        "tokens_per_second": round(35 / 3.0, 6),  # 2.5 s of gaps, and half a second to the last token
    }
    assert {figure.name: figure.unit for figure in result.figures if figure.unit} == dict.fromkeys(
        ["ttft", "first_content", "gap_p50", "gap_p95", "gap_max"], "s"
    )
    assert result.state is State.OK and "ttft 1 s" in result.reason
    assert result.evidence["tokens"] == 36 and result.evidence["finish_reason"] == "stop"


def test_figures_carry_their_limits() -> None:
    result = judged(streamed(TIMES), ttft=(2, 10), gap=(0.3, 1), rate=(4, 2))
    limits = {figure.name: (figure.warning, figure.critical) for figure in result.figures}
    assert limits == {
        "ttft": (2, 10),
        "first_content": (None, None),
        "gap_p50": (None, None),
        "gap_p95": (0.3, 1),
        "gap_max": (None, None),
        "events_per_read": (2, None),
        "tokens_per_second": (4, 2),
    }


@pytest.mark.parametrize(
    ("limits", "state", "words", "hint"),
    [
        ({"ttft": (1.0, 5)}, State.OK, "", ""),
        ({"ttft": (0.9, 5)}, State.WARNING, "ttft is 1 s, limit 0.9", "vllm:num_requests_waiting"),
        ({"ttft": (0.5, 0.9)}, State.CRITICAL, "ttft is 1 s, limit 0.9", "vllm:num_requests_waiting"),
        ({"gap": (0.2, 1)}, State.WARNING, "gap_p95 is 0.215 s, limit 0.2", "--stream-interval"),
        ({"gap": (0.1, 0.2)}, State.CRITICAL, "gap_p95 is 0.215 s, limit 0.2", "--stream-interval"),
        ({"rate": (8.1, 2)}, State.WARNING, "tokens_per_second is 8, limit 8.1", "the engine is busy"),
        ({"rate": (10, 8.1)}, State.CRITICAL, "tokens_per_second is 8, limit 8.1", "the engine is busy"),
        ({"rate": (7.9, 2)}, State.OK, "", ""),
    ],
)
def test_each_limit(limits: dict[str, tuple[float, float]], state: State, words: str, hint: str) -> None:
    result = judged(streamed(TIMES), **limits)  # 20 tokens in 2.5 s after the first
    assert result.state is state
    assert words in result.reason and hint in result.remedy and bool(result.remedy) == bool(hint)
    assert len(result.figures) == 7


def bursts(number: int, size: int) -> list[float]:
    """Return times of events that come in bursts, the events of one 0.1 ms apart."""
    return [0.2 * burst + 0.0001 * place for burst in range(1, number + 1) for place in range(size)]


@pytest.mark.parametrize(
    ("size", "state"), [(1, State.OK), (2, State.OK), (3, State.WARNING), (5, State.WARNING)]
)
def test_a_buffering_proxy_is_named(size: int, state: State) -> None:
    result = judged(streamed(bursts(8, size)))
    assert result.state is state and values(result)["events_per_read"] == size
    if state is State.WARNING:
        assert result.reason == f"events_per_read is {size}, limit 2"
        for hint in ("option http-no-delay", "proxy_buffering off", "X-Accel-Buffering: no"):
            assert hint in result.remedy


def test_the_cause_comes_before_its_effects() -> None:
    result = judged(streamed(bursts(8, 5)), gap=(0.1, 1))
    assert [reason.split()[0] for reason in result.reason.split("; ")] == ["events_per_read", "gap_p95"]


def test_a_stream_held_back_to_its_end() -> None:
    result = judged(streamed([3.0] * 30))
    assert result.state is State.WARNING and result.reason == "events_per_read is 30, limit 2"
    assert "tokens_per_second" not in values(result)


def test_several_tokens_in_one_event_count_for_the_rate() -> None:
    assert values(judged(streamed([1.0, 2.0, 3.0], tokens=41)))["tokens_per_second"] == 20.0


@pytest.mark.parametrize("number", [1, 2])
def test_too_few_tokens_cannot_be_judged(number: int) -> None:
    result = judged(streamed([1.0, 2.0][:number], tokens=40, contents=0))
    assert result.state is State.UNKNOWN and result.remedy
    assert f"{number} event" in result.reason and "40 by usage" in result.reason
    assert values(result) == {"ttft": 1.0}


def test_no_token_at_all_is_unknown() -> None:
    events = (at(1, chunk({"role": "assistant", "content": ""}, "stop")), at(1, usage(1)), at(1, "[DONE]"))
    result = judged(Streamed(200, None, "", START, events))
    assert result.state is State.UNKNOWN and "no event with a token" in result.reason and result.figures == ()


def test_a_late_first_token_outranks_too_few() -> None:
    assert judged(streamed([7.0, 8.0]), ttft=(2, 5)).state is State.CRITICAL


@pytest.mark.parametrize("tokens", ["many", 21.5, [21], None])
def test_usage_without_a_count_is_unknown(tokens: Any) -> None:
    stream = streamed(TIMES)
    stream.events[-2].data["usage"]["completion_tokens"] = tokens
    assert judged(stream).state is State.UNKNOWN


def test_a_broken_stream_is_critical_whatever_its_times() -> None:
    whole = streamed(TIMES)
    error = at(9, {"error": {"message": "EngineCore died", "code": 500}})
    result = judged(Streamed(200, None, "", START, (*whole.events[:10], error)))
    assert result.state is State.CRITICAL and "the stream ends in an error: EngineCore died" in result.reason


def test_a_refusal_is_raised(replies: Replies) -> None:
    with pytest.raises(CheckError, match="HTTP 404: The model `nope` does not exist"):
        judged(Streamed(404, replies["error_404"], "", START, ()))


def test_the_whole_check(probe: Probe, speaker: Speaker, replies: Replies) -> None:
    plain = replies["second_turn"]
    datas = compose(plain["choices"][0], plain["usage"]["completion_tokens"])
    speaker.script = [(0.02, [sse(data)]) for data in datas]
    done = probe("latency", "--url", speaker.url, "--format", "json", *PATIENT)
    result = json.loads(done.stdout)["results"][0]
    assert (done.returncode, result["check"], result["state"]) == (0, "latency", "ok"), done.stdout
    assert len(result["figures"]) == 7 and result["evidence"]["tokens"] == 28
    assert result["evidence"]["content"] == plain["choices"][0]["message"]["content"]
    figures = {figure["name"]: figure["value"] for figure in result["figures"]}
    assert 0.02 <= figures["ttft"] < figures["first_content"]  # it slept twice before the first token
    body = speaker.requests[0]
    assert body["stream"] is True and body["temperature"] == 0 and 0 < body["max_tokens"] <= 256
    assert body["model"] == "gpt-oss-120b"


def test_the_whole_check_through_a_proxy_that_buffers(probe: Probe, speaker: Speaker) -> None:
    tokens = [sse(chunk({"content": "x"})) for _ in range(40)]
    speaker.script = [(0, [sse(chunk({"role": "assistant", "content": ""}))])]
    speaker.script += [(0.1, tokens[at : at + 5]) for at in range(0, 40, 5)]
    speaker.script += [(0, [*map(sse, (chunk({}, "stop"), usage(41), "[DONE]"))])]
    done = probe("latency", "--url", speaker.url, *PATIENT)
    assert done.returncode == 1 and "latency WARNING: events_per_read is " in done.stdout
    assert "option http-no-delay" in done.stdout


def test_the_whole_check_with_a_wrong_model(probe: Probe, server: Server, replies: Replies) -> None:
    server.answers["/v1/chat/completions"] = (404, replies["error_404"])
    done = probe("latency", "--url", server.url, "--model", "nope")
    assert done.returncode == 2 and "HTTP 404: The model `nope` does not exist" in done.stdout


@pytest.mark.parametrize(
    "limits",
    [
        *(["--ttft", "10", "2"], ["--gap", "1", "0.5"], ["--rate", "2", "10"]),
        *(
            ["--ttft", "0", "2"],
            ["--ttft", "nan", "2"],
            ["--gap", "1", "inf"],
            ["--ttft", "2"],
            ["--rate", "x", "1"],
        ),
    ],
)
def test_wrong_limits_are_refused(probe: Probe, limits: list[str]) -> None:
    done = probe("latency", *limits)
    assert done.returncode == 3 and limits[0] in done.stderr and "Traceback" not in done.stderr
