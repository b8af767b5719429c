"""The main path over HTTP, and sessions across turns, restarts and concurrent requests."""

import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from replay import LONGEST_HANG, Replay
from replies import TOO_LONG
from running import Backend, Start, events

QUESTION = "회사 휴가 정책 알려줘"
POLICY = "연차 휴가는 1년에 15일이며 3일 전에 신청합니다."


def test_question_of_the_guide_is_answered_through_the_tool(backend: Backend, peer: Replay) -> None:
    reply = backend.chat(QUESTION, backend.session)
    assert reply.status_code == 200, reply.text
    assert POLICY in reply.json().pop("answer")
    assert reply.json() | {"answer": ""} == {
        "answer": "",
        "session_id": backend.session,
        "tools_called": ["search_policy"],
        "model": "gpt-oss-120b",
    }
    first, second = peer.requests
    assert {tool["function"]["name"] for tool in first["tools"]} == {"get_weather", "search_policy"}
    assert first["temperature"] == 0.7
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "tool"]


def test_second_turn_knows_the_first_and_names_its_own_tools_only(backend: Backend, peer: Replay) -> None:
    assert backend.chat(QUESTION).json()["tools_called"] == ["search_policy"]
    assert backend.chat("thanks").json()["tools_called"] == []
    assert [message["role"] for message in peer.requests[-1]["messages"]] == [
        *("system", "user", "assistant", "tool", "assistant", "user")
    ]
    backend.chat("who am I?", f"{backend.session}-b")
    assert len(peer.requests[-1]["messages"]) == 2


def test_unknown_tool_is_told_to_the_model_which_goes_on(backend: Backend, peer: Replay) -> None:
    peer.mode = "unknown_tool"
    reply = backend.chat("hello")
    assert reply.status_code == 200, reply.text
    assert "not a valid tool" in reply.json()["answer"]


def test_stream_gives_the_tool_then_the_answer_in_pieces_then_the_whole(backend: Backend) -> None:
    events = backend.stream(QUESTION)
    names = [name for name, _ in events]
    assert events[0] == ("tool", {"name": "search_policy", "arguments": {"query": "휴가 정책"}})
    assert names[1:] == ["token"] * (len(names) - 2) + ["done"]
    assert len(names) > 4
    done = events[-1][1]
    assert "".join(data["text"] for name, data in events if name == "token") == done["answer"]
    assert POLICY in done["answer"]
    assert (done["tools_called"], done["session_id"]) == (["search_policy"], backend.session)
    assert backend.chat("more").status_code == 200


def test_session_survives_a_kill_in_the_middle_of_a_turn(start: Start, peer: Replay) -> None:
    first = start(VLLM_BASE_URL=peer.url)
    assert first.chat(QUESTION).status_code == 200
    peer.mode = "hang_after_tool"
    with ThreadPoolExecutor() as pool:
        lost = pool.submit(first.chat, "서울 날씨")
        assert peer.hanging.wait(LONGEST_HANG)
        first.end(signal.SIGKILL)
        assert isinstance(lost.exception(LONGEST_HANG), httpx2.TransportError)
    peer.mode = "normal"
    peer.release.set()
    second = start(VLLM_BASE_URL=peer.url)
    assert second.chat("again").status_code == 200
    said = [message["content"] for message in peer.requests[-1]["messages"] if message["role"] == "user"]
    assert said == [QUESTION, "again"]


def test_second_process_on_the_same_sessions_does_not_start(start: Start, peer: Replay) -> None:
    start(VLLM_BASE_URL=peer.url)
    try:
        start(VLLM_BASE_URL=peer.url)
    except AssertionError as error:
        assert "in use by another process" in str(error)
    else:
        raise AssertionError("two processes share one session store")


def test_one_session_waits_for_its_turn_and_others_do_not(backend: Backend, peer: Replay) -> None:
    peer.mode = "hang"
    with ThreadPoolExecutor() as pool:
        same = [pool.submit(backend.chat, f"word {number}") for number in range(3)]
        assert peer.hanging.wait(LONGEST_HANG)
        others = [pool.submit(backend.chat, "hello", f"{backend.session}-{number}") for number in range(2)]
        assert _reaches(peer, 3)
        peer.release.set()
        assert [future.result().status_code for future in [*same, *others]] == [200] * 5
    # One of the three, and both others: the two that wait have asked nothing.
    assert peer.most_busy == 3
    turns = [request["messages"] for request in peer.requests if "word" in request["messages"][-1]["content"]]
    assert [len(messages) for messages in turns] == [2, 4, 6]


def _reaches(peer: Replay, busy: int) -> bool:
    never = threading.Event()
    for _ in range(200):
        if peer.busy >= busy:
            never.wait(0.5)
            return peer.busy == busy
        never.wait(0.05)
    return False


def test_long_session_does_not_grow(start: Start, peer: Replay) -> None:
    """A turn has about 40 tokens: 53 bytes of the question and 59 of its echo."""
    backend = start(VLLM_BASE_URL=peer.url, HISTORY_TOKENS="120")
    sizes = []
    for number in range(8):
        assert backend.chat(f"{'word ' * 10}{number}").status_code == 200
        sizes.append(len(peer.requests[-1]["messages"]))
    assert sizes == [2, 4, 6, 8, 8, 8, 8, 8]
    assert peer.requests[-1]["messages"][1]["content"].endswith(" 4")


@pytest.mark.parametrize("refusal", TOO_LONG)
def test_session_that_is_too_long_for_the_model_goes_on_without_its_oldest_turns(
    backend: Backend, peer: Replay, refusal: str
) -> None:
    for number in range(5):
        assert backend.chat(f"{number} " + "x" * 1000).status_code == 200
    peer.mode = f"{refusal} 5000"
    reply = backend.chat("서울 날씨 알려줘")
    assert (reply.status_code, reply.json()["tools_called"]) == (200, ["get_weather"])
    seen = [m["content"][0] for m in peer.requests[-1]["messages"] if m["role"] == "user"]
    assert seen == ["3", "4", "서"]
    refused = len(peer.requests)
    assert backend.chat("and now?").status_code == 200
    assert len(peer.requests) == refused + 1, "what was cut stays cut: nothing is refused twice"


@pytest.mark.parametrize("stream", [False, True])
def test_message_that_is_too_long_for_the_model_is_named(
    backend: Backend, peer: Replay, stream: bool
) -> None:
    assert backend.chat("hello").status_code == 200
    peer.mode = "window 1000"
    route = "/v1/chat/stream" if stream else "/v1/chat"
    reply = backend.client.post(route, json={"message": "x" * 2000, "session_id": backend.session})
    assert (reply.status_code, reply.json()["error"]) == (413, "too_long")
    assert "shorter" in reply.json()["remedy"]
    assert backend.chat("and now?").status_code == 200
    assert [m["content"] for m in peer.requests[-1]["messages"] if m["role"] == "user"] == [
        "hello",
        "and now?",
    ]


LEAKS = (
    "<|channel|>final<|message|>Hello",
    "One moment. <|start|>assistant",
    "assistantcommentary to=functions.get_weather",
    "It is 21 degrees.assistantfinalIt is 21 degrees.",
    "commentary to=functions.get_weather json",
)


@pytest.mark.parametrize("text", LEAKS)
def test_raw_harmony_text_never_reaches_the_user(backend: Backend, peer: Replay, text: str) -> None:
    peer.mode = f"say {text}"
    reply = backend.chat("hello")
    assert (reply.status_code, reply.json()["error"]) == (502, "model_failed")
    assert "Harmony" in reply.json()["reason"] and "--tool-call-parser" in reply.json()["remedy"]
    body = {"message": "hello", "session_id": backend.session}
    reply = backend.client.post("/v1/chat/stream", json=body)
    # What leaks in the first piece still gets its HTTP status.
    streamed = events(reply.text) if reply.status_code == 200 else [("error", reply.json())]
    assert (streamed[-1][0], streamed[-1][1]["error"]) == ("error", "model_failed")
    shown = "".join(data["text"] for name, data in streamed if name == "token")
    assert text.startswith(shown) and not re.search(r"<\||assistant|to=", shown)
    peer.mode = "normal"
    assert backend.chat("and now?").status_code == 200
    assert not any(text in str(m["content"]) for m in peer.requests[-1]["messages"])


@pytest.mark.parametrize(
    "text", ["if a < b | c", "my assistant says: an asset", "what <p> is", "ends with <", "an as", "1 <| 2"]
)
def test_words_that_only_begin_like_harmony_arrive_whole(backend: Backend, peer: Replay, text: str) -> None:
    peer.mode = f"say {text}"
    assert backend.chat("hello").json()["answer"] == text
    streamed = backend.stream("hello")
    assert "".join(data["text"] for name, data in streamed if name == "token") == text
    assert streamed[-1][1]["answer"] == text


def test_settings_reach_the_model(start: Start, peer: Replay) -> None:
    backend = start(
        VLLM_BASE_URL=peer.url,
        TEMPERATURE="0",
        REASONING_EFFORT="low",
        SYSTEM_PROMPT="Be brief.",
        MAX_ANSWER_TOKENS="99",
    )
    assert backend.chat("hello").status_code == 200
    request = peer.requests[0]
    assert (request["temperature"], request["reasoning_effort"]) == (0, "low")
    assert request["max_completion_tokens"] == 99
    assert request["messages"][0] == {"role": "system", "content": "Be brief."}
