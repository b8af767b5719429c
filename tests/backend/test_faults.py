"""The model server is away, slow, wrong or broken: what the client is told, and that the session goes on."""

import socket
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from replay import LONGEST_HANG, Replay
from running import Backend, Start

QUESTION = "서울 날씨 알려줘"
TABLES = ("checkpoints", "writes", "session_use")


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is ours and that nobody listens on."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def said(peer: Replay) -> list[str]:
    """What the user said, as the model saw it last."""
    return [message["content"] for message in peer.requests[-1]["messages"] if message["role"] == "user"]


def goes_on(backend: Backend, peer: Replay) -> None:
    """The session answers again, as if the failed turn had never been."""
    peer.mode = "normal"
    peer.release.set()
    assert backend.chat("and now?").json()["answer"] == "echo: and now?"
    assert said(peer)[-1] == "and now?"
    assert QUESTION not in said(peer)


@pytest.mark.parametrize("route", ["/v1/chat", "/v1/chat/stream", "/ready"])
def test_nothing_listens(start: Start, closed_port: int, route: str) -> None:
    backend = start(VLLM_BASE_URL=f"http://127.0.0.1:{closed_port}/v1")
    body = {"message": "hello", "session_id": "s-1"}
    reply = backend.client.get(route) if route == "/ready" else backend.client.post(route, json=body)
    assert reply.status_code == 503
    assert int(reply.headers["retry-after"]) > 0
    assert reply.json()["error"] == "model_unavailable"
    assert {"reason", "remedy"} < set(reply.json())
    assert "Traceback" not in reply.text
    assert backend.client.get("/health").status_code == 200


def test_heals_by_itself_when_the_server_comes_back(start: Start) -> None:
    before = Replay()
    backend = start(VLLM_BASE_URL=before.url)
    assert backend.chat("one").status_code == 200
    before.stop()
    assert backend.chat("two").status_code == 503
    assert backend.client.get("/ready").status_code == 503
    after = Replay(before.server_port)
    try:
        assert backend.client.get("/ready").json() == {"status": "ready", "model": "gpt-oss-120b"}
        assert backend.chat("three").status_code == 200
        assert said(after) == ["one", "three"]
    finally:
        after.stop()


def test_ready_asks_the_model_and_keeps_a_good_verdict_for_a_while(start: Start, peer: Replay) -> None:
    backend = start(VLLM_BASE_URL=peer.url)
    assert [backend.client.get("/ready").status_code for _ in range(5)] == [200] * 5
    assert len(peer.requests) == 1
    assert peer.requests[0]["max_completion_tokens"] == 1


def test_ready_has_a_deadline_and_keeps_no_bad_verdict(start: Start, peer: Replay) -> None:
    backend = start(VLLM_BASE_URL=peer.url, READY_SECONDS="1")
    peer.mode = "hang"
    reply = backend.client.get("/ready")
    assert (reply.status_code, reply.json()["error"]) == (503, "model_unavailable")
    assert "within 1 s" in reply.json()["reason"]
    assert backend.client.get("/health").status_code == 200
    peer.mode = "normal"
    assert backend.client.get("/ready").status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_time_limit_after_a_tool_call_leaves_the_session_whole(
    start: Start, peer: Replay, stream: bool
) -> None:
    backend = start(VLLM_BASE_URL=peer.url, REQUEST_SECONDS="3")
    assert backend.chat("hello").status_code == 200
    peer.mode = "hang_after_tool"
    if stream:
        events = backend.stream(QUESTION)
        assert [name for name, _ in events] == ["tool", "error"]
        status, failure = events[-1][1]["status"], events[-1][1]
    else:
        reply = backend.chat(QUESTION)
        status, failure = reply.status_code, reply.json()
    assert (status, failure["error"], failure["reason"]) == (504, "timeout", "no answer within 3 s")
    goes_on(backend, peer)
    assert said(peer) == ["hello", "and now?"]


@pytest.mark.parametrize(
    ("mode", "status", "code"),
    [
        ("400", 502, "model_refused"),
        ("401", 502, "model_refused"),
        ("429", 503, "model_unavailable"),
        ("500", 503, "model_unavailable"),
        ("503", 503, "model_unavailable"),
        ("html", 502, "model_failed"),
        ("abort", 503, "model_unavailable"),
        ("empty", 502, "model_failed"),
        ("bad_arguments", 502, "model_failed"),
        ("loop", 502, "too_many_steps"),
    ],
)
def test_broken_answer_is_named_and_the_session_goes_on(
    backend: Backend, peer: Replay, mode: str, status: int, code: str
) -> None:
    peer.mode = mode
    reply = backend.chat(QUESTION)
    assert (reply.status_code, reply.json()["error"]) == (status, code)
    assert ("retry-after" in reply.headers) is (status == 503)
    goes_on(backend, peer)


@pytest.mark.parametrize("mode", ["cut", "abort", "error_in_stream", "empty", "loop"])
def test_stream_that_breaks_ends_with_an_error_event(backend: Backend, peer: Replay, mode: str) -> None:
    peer.mode = mode
    reply = backend.client.post("/v1/chat/stream", json={"message": QUESTION, "session_id": backend.session})
    away = "model_unavailable"
    code = {"cut": away, "abort": away, "loop": "too_many_steps"}.get(mode, "model_failed")
    assert f'"error": "{code}"' in reply.text or f'"error":"{code}"' in reply.text
    assert "done" not in reply.text
    goes_on(backend, peer)


def test_wrong_model_name_is_told_with_its_remedy(start: Start, peer: Replay) -> None:
    backend = start(VLLM_BASE_URL=peer.url, MODEL_NAME="gpt-oss-999b")
    for reply in (backend.chat("hello"), backend.client.get("/ready")):
        assert (reply.status_code, reply.json()["error"]) == (502, "model_refused")
        assert "`gpt-oss-999b` does not exist" in reply.json()["reason"]
        assert "MODEL_NAME" in reply.json()["remedy"]


def test_server_in_trouble_is_not_stormed(backend: Backend, peer: Replay) -> None:
    peer.mode = "500"
    assert backend.chat("hello").status_code == 503
    assert len(peer.requests) == 2


def test_steps_of_a_turn_are_bounded(start: Start, peer: Replay) -> None:
    backend = start(VLLM_BASE_URL=peer.url, MAX_STEPS="3")
    peer.mode = "loop"
    assert backend.chat(QUESTION).json()["error"] == "too_many_steps"
    assert len(peer.requests) == 3


def test_client_that_goes_away_frees_the_session_at_once(backend: Backend, peer: Replay) -> None:
    peer.mode = "hang_in_stream"
    body = {"message": "tell me more", "session_id": backend.session}
    with backend.client.stream("POST", "/v1/chat/stream", json=body) as reply:
        assert next(reply.iter_lines()) == "event: token"
    peer.mode = "normal"
    started = time.monotonic()
    assert backend.chat("hello").status_code == 200
    # The turn that was left would have held the session until the peer lets go.
    assert time.monotonic() - started < LONGEST_HANG / 2
    assert said(peer) == ["hello"]


def test_session_store_that_cannot_be_written_is_named(start: Start, peer: Replay) -> None:
    backend = start(VLLM_BASE_URL=peer.url)
    with sqlite3.connect(backend.log.with_name("sessions.sqlite3")) as other:
        other.execute("DROP TABLE session_use")
    other.close()
    reply = backend.chat("hello")
    assert (reply.status_code, reply.json()["error"]) == (503, "sessions_unavailable")
    assert "session_use" not in reply.text


def test_nothing_is_written_for_a_turn_that_failed(start: Start, closed_port: int) -> None:
    backend = start(VLLM_BASE_URL=f"http://127.0.0.1:{closed_port}/v1")
    for number in range(5):
        assert backend.chat("hello", f"s-{number}").status_code == 503
    with sqlite3.connect(backend.log.with_name("sessions.sqlite3")) as file:
        rows = [file.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in TABLES]
    file.close()
    assert rows == [0, 0, 0]


@pytest.mark.parametrize("route", ["/v1/chat", "/v1/chat/stream"])
def test_client_that_leaves_before_the_answer_ends_the_work(
    backend: Backend, peer: Replay, route: str
) -> None:
    peer.mode = "hang"
    body = {"message": "tell me more", "session_id": backend.session}
    with pytest.raises(httpx2.ReadTimeout):
        backend.client.post(route, json=body, timeout=httpx2.Timeout(60, read=1))
    assert peer.hanging.wait(60)
    peer.mode = "normal"
    started = time.monotonic()
    assert backend.chat("hello").status_code == 200
    # The turn that was left would have held the session until the peer lets go.
    assert time.monotonic() - started < LONGEST_HANG / 2
    assert said(peer) == ["hello"]
    assert [line["status"] for line in backend.lines() if line.get("code") == "client_gone"][-1:] == [499]


def test_turns_at_once_are_limited(start: Start, peer: Replay) -> None:
    backend = start(VLLM_BASE_URL=peer.url, MAX_TURNS="1")
    peer.mode = "hang"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(backend.chat, "hello", "a")
        assert peer.hanging.wait(60)
        for route in ("/v1/chat", "/v1/chat/stream"):
            reply = backend.client.post(route, json={"message": "hello", "session_id": "b"})
            assert (reply.status_code, reply.json()["error"]) == (503, "too_busy")
            assert int(reply.headers["retry-after"]) > 0
        peer.mode = "normal"
        peer.release.set()
        assert first.result().status_code == 200
    assert backend.chat("hello", "b").status_code == 200
